# {"pools": "exclusive shared", "times": 2, "want": {"error": "ValueError", "stdout": "begin 1000\n"}, "changes": "recursion_limit warnings folder stdout"}
"""A task that fails leaves no more behind than one that completes."""

import io
import os
import sys
import warnings


def main(params, context):
    print("begin", sys.getrecursionlimit())
    sys.setrecursionlimit(2345)
    warnings.simplefilter("error")
    os.chdir("/usr")
    sys.stdout = io.StringIO()
    raise ValueError("in the middle")
