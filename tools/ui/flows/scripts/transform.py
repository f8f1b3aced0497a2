"""Doubles what it is given."""

import sys

print(int(sys.argv[1]) * 2)
