# {"pools": "exclusive shared", "times": 2, "want": {"data": true, "stderr": "before\n"}, "changes": "stderr"}
"""What a task leaves in sys.stderr is taken away after it."""

import io
import sys


def main(params, context):
    print("before", file=sys.stderr)
    found = sys.stderr is sys.__stderr__
    sys.stderr = io.StringIO()
    print("after", file=sys.stderr)
    return found
