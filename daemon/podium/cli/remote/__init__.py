"""Commands that talk to a daemon."""
