"""Tasks about stored files, records in them, and namespace files."""
