"""Executions as the world sees them: the view, and the way back from it."""
