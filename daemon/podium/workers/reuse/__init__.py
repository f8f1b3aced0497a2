"""taskCache: an earlier run in the place of a new one. Called by workers/attempt only."""
