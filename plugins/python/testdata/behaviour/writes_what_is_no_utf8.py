# {"pools": "exclusive shared", "python": "no", "want": {"stdout": "\ufffd\n"}}
"""Bytes that are no UTF-8 are shown by the sign for that."""

import sys


def main(params, context):
    sys.stdout.buffer.write(b"\xff\n")
