"""What a commit says: which files are flows, what is in them, and what deploying them would change."""
