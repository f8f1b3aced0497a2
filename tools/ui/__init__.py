"""Pages over a daemon with real data: `make ui-shots`, and the same world for tests and measurements."""
