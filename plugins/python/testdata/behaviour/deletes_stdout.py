# {"pools": "exclusive shared", "times": 2, "want": {"data": "RuntimeError: lost sys.stdout"}}
"""del sys.stdout: print says so, and the next task has one."""

import sys


def main(params, context):
    del sys.stdout
    try:
        print("to nowhere")
    except RuntimeError as error:
        return "%s: %s" % (type(error).__name__, error)
