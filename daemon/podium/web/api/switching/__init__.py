"""Triggers, many at once."""
