# {"pools": "exclusive", "times": 2, "python": "no", "want": {"data": [true, true], "stdout": "before\n", "stderr": "before, too\n"}}
"""A task that closes sys.stdout and sys.stderr closes its own ones."""

import sys


def main(params, context):
    print("before")
    print("before, too", file=sys.stderr)
    sys.stdout.close()
    sys.stderr.close()
    return [sys.stdout.closed, sys.stderr.closed]
