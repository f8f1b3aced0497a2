"""Whose turn it is, and how much there may be of it: commands, executions, task runs."""
