# {"pools": "exclusive shared", "times": 2, "want": {"data": ["first", "second"]}}
"""input() reads what stands in sys.stdin."""

import io
import sys


def main(params, context):
    sys.stdin = io.StringIO("first\nsecond\n")
    return [input(), input()]
