"""What of flow triggers is pure: stretches of time, and comparisons of preconditions. Used by conductor/chains."""
