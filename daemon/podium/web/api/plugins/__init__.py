"""The language over the API: its JSON Schema, the types that are installed, what expressions can name."""
