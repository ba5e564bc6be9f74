# {"pools": "exclusive shared", "function": "__main__", "params": [], "times": 2, "want": {"stdout": "no newline", "stderr": "none here"}}
"""The last line may be without its end."""

import sys

print("no newline", end="")
print("none here", end="", file=sys.stderr)
