"""Flow tests: their language, and what an assertion means."""
