"""Commands that work without a daemon, on files and repositories."""
