"""What templates can call and name, in words: for editors and documentation."""
