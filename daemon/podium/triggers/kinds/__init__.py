"""One module for each kind of trigger that the daemon itself watches."""
