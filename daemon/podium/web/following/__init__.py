"""What is read once for all who follow: shared feeds, and the stream of a page."""
