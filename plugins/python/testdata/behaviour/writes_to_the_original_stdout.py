# {"pools": "exclusive shared", "want": {"data": "inside\n", "stdout": "outside\n"}}
"""sys.__stdout__ is what it was, whatever stands in sys.stdout."""

import contextlib
import io
import sys


def main(params, context):
    with contextlib.redirect_stdout(io.StringIO()) as text:
        print("inside")
        sys.__stdout__.write("outside\n")
    return text.getvalue()
