# {"pools": "exclusive shared", "times": 2, "want": {"data": [5, "wb"], "stdout": "text\nbytes\nraw\n"}}
"""sys.stdout has a buffer and that a raw file, as streams have."""

import sys


def main(params, context):
    print("text", flush=True)
    sys.stdout.buffer.write(b"bytes\n")
    sys.stdout.buffer.flush()
    sys.stdout.buffer.raw.write(b"raw\n")
    return [sys.stdout.write("") + 5, sys.stdout.buffer.mode]
