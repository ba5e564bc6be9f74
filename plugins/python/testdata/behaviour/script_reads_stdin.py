# {"pools": "exclusive shared", "function": "__main__", "params": [], "times": 2, "want": {"stdout": "'' [] b''\n", "stderr": "EOFError\n"}}
"""stdin is empty."""

import sys

print(repr(sys.stdin.read()), sys.stdin.readlines(), sys.stdin.buffer.read())
try:
    input()
except EOFError as error:
    print(type(error).__name__, file=sys.stderr)
