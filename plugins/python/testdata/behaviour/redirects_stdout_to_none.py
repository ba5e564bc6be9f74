# {"pools": "exclusive shared", "want": {"stdout": "after\n"}}
"""print says nothing while sys.stdout is None."""

import contextlib


def main(params, context):
    with contextlib.redirect_stdout(None):
        print("in between")
    print("after")
