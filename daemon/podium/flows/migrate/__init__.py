"""Flows of language 1.x written as 2.0, in their own text. The door is driver.py."""
