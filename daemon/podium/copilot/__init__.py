"""See the room table in ARCHITECTURE.md."""
