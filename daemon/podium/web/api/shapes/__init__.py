"""The shapes of the API, as JSON Schema."""
