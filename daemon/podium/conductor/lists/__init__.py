"""Parts of the orchestrator beside lists: figures over time, and removing."""
