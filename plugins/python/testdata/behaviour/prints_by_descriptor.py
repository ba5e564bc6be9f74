# {"pools": "exclusive", "times": 2, "want": {"stdout": "one\ntwo\nthree\n", "stderr": "four\n"}}
"""What is written to the descriptors 1 and 2 is the task's output, in the order in which it was written."""

import os
import sys


def main(params, context):
    print("one", flush=True)
    os.write(1, b"two\n")
    print("three")
    os.write(sys.stderr.fileno(), b"four\n")
