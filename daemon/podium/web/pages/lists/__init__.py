"""The lists: flows, executions, lines of logs. Each can be filtered, sorted, shared by its address, and worked on many at a time."""
