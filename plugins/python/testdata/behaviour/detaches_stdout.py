# {"pools": "exclusive shared", "times": 2, "want": {"data": "ValueError", "stdout": "text\nbytes\n"}}
"""sys.stdout.detach() gives the buffer away; the next task has a stream of its own."""

import sys


def main(params, context):
    print("text")
    buffer = sys.stdout.detach()
    buffer.write(b"bytes\n")
    buffer.flush()
    try:
        sys.__stdout__.write("")
    except ValueError as error:
        sys.stdout = None
        return type(error).__name__
