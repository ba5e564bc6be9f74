# {"pools": "exclusive shared", "times": 2, "want": {"data": [1000, "RecursionError", 1500]}}
"""The recursion limit is 1000; a task that sets another has it for itself."""

import sys


def depth(n):
    return 0 if n == 0 else 1 + depth(n - 1)


def main(params, context):
    found = sys.getrecursionlimit()
    try:
        depth(1500)
    except RecursionError as error:
        kind = type(error).__name__
    sys.setrecursionlimit(3000)
    return [found, kind, depth(1500)]
