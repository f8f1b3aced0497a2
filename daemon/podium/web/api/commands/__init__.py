"""What is done to many executions at once, and removing them."""
