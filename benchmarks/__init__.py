"""What Podium costs, measured in one run on one machine. See README.md beside this."""
