"""Task runs that start executions or wait for people: what is special about each kind."""
