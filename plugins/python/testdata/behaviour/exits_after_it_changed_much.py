# {"pools": "exclusive shared", "times": 2, "want": {"error": "SystemExit", "code": "exit", "stdout": "begin\n"}, "changes": "collector stdin argv"}
"""So does one that calls sys.exit."""

import gc
import io
import sys


def main(params, context):
    print("begin")
    gc.disable()
    sys.stdin = io.StringIO("text")
    sys.argv = ["a", "b"]
    sys.exit(4)
