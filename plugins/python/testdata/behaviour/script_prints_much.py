# {"pools": "exclusive shared", "function": "__main__", "params": [], "want": {"stdout_has": "line 0 xxxxxxxxxx\nline 1 "}}
"""More output than a pipe holds at once blocks nobody."""

import os
import sys

for n in range(5):
    print("line", n, "x" * 10)
sys.stdout.flush()
for n in range(30):
    os.write(1, b"y" * 9999 + b"\n")
