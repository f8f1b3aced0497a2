"""Conditions of lists as SQL, and what is counted for statistics."""
