# {"pools": "exclusive", "times": 2, "want": {"data": "to a file\n", "stdout": "before\nafter\n"}}
"""The usual way to catch what C code prints: another file on descriptor 1, and back."""

import os
import sys
import tempfile


def main(params, context):
    print("before", flush=True)
    kept = os.dup(1)
    with tempfile.TemporaryFile("w+") as file:
        os.dup2(file.fileno(), 1)
        os.system("echo to a file")
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
        file.seek(0)
        print("after")
        return file.read()
