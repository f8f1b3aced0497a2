"""Flow triggers: flows that start when executions of others reach a state."""
