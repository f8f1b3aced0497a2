"""Flow tests: finds them, runs each case as a real execution with its tasks mocked, and judges what came of it."""
