"""Statistics, metrics over time, usage."""
