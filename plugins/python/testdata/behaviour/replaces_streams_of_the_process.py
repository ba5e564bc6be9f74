# {"pools": "exclusive", "times": 2, "want": {"data": 7, "stdout": "before\nby the new one\n"}}
"""os.fdopen on a copy of descriptor 1 is another stream to the same output."""

import os
import sys


def main(params, context):
    print("before", flush=True)
    with os.fdopen(os.dup(1), "w") as stream:
        stream.write("by the new one\n")
    return len(sys.stdout.name) - 1
