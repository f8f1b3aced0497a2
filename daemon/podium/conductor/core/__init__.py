"""The loop and what it is made of. See conductor.py."""
