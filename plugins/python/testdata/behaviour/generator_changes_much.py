# {"pools": "exclusive shared", "times": 2, "want": {"data": [1000, 2222]}, "changes": "recursion_limit folder"}
"""A generator that changes the process between its values."""

import os
import sys


def main(params, context):
    yield sys.getrecursionlimit()
    sys.setrecursionlimit(2222)
    os.chdir("/tmp")
    yield sys.getrecursionlimit()
