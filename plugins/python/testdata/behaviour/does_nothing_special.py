# {"pools": "exclusive shared loop", "times": 2, "want": {"data": {"a": [1, 2.5, null, "ü"]}, "stdout": "to stdout\n", "stderr": "to stderr\n"}}
"""All is well here: whatever is found after it is not its fault."""

import sys


def main(params, context):
    print("to stdout")
    print("to stderr", file=sys.stderr)
    return {"a": (1, 2.5, None, "ü")}
