# {"pools": "exclusive shared", "function": "__main__", "params": [], "times": 2, "want": {"exit": 2, "stdout": "body\nsecond\nfirst\n"}}
"""atexit calls what a script registers, last first, also when it exits."""

import atexit
import sys

atexit.register(print, "first")
atexit.register(print, "second")
print("body")
sys.exit(2)
