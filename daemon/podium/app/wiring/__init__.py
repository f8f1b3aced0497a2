"""Builds the rooms and connects them: core.py is the parts list."""
