"""The results branch as people look at it."""
