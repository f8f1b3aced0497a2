"""What lists are asked for."""
