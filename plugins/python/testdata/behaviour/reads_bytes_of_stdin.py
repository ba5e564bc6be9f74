# {"pools": "exclusive shared", "times": 2, "want": {"data": ["", [], 0, false]}}
"""stdin is empty, and a text stream over a buffer."""

import sys


def main(params, context):
    return [sys.stdin.buffer.read().decode(), list(sys.stdin), len(sys.stdin.buffer.raw.read()), sys.stdin.isatty()]
