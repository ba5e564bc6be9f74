# {"pools": "exclusive shared", "function": "__main__", "params": [], "want": {"stdout": "data beside\nTrue\n"}}
"""A script opens what lies beside it, by __file__ and by sys.path[0]."""

import os
import pathlib
import sys

print(pathlib.Path(__file__).with_name("beside.txt").read_text().strip())
print(os.path.exists(os.path.join(sys.path[0], "beside.txt")))
