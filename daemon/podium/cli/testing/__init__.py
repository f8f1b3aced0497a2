"""The command that runs flow tests, and the forms in which it tells results."""
