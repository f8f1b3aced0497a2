"""The copilot over the API."""
