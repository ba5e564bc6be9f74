# {"pools": "exclusive shared", "times": 2, "want": {"data": [true, true], "stdout": "once\n"}}
"""sys.stdout = None and sys.stderr = None: print and warnings are silent."""

import sys
import warnings


def main(params, context):
    found = [sys.stdout is not None, sys.stderr is not None]
    print("once", flush=True)
    sys.stdout = sys.stderr = None
    print("never")
    print("never", file=sys.stderr)
    warnings.warn("never")
    return found
