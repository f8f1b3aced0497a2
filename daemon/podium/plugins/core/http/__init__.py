"""HTTP tasks and trigger, and the client that they and the function `http()` share."""
