# {"pools": "exclusive shared", "times": 2, "want": {"data": ["", ""]}}
"""open(0) reads stdin, which is empty; closing it harms nobody who comes after."""

import sys


def main(params, context):
    found = sys.stdin.read()
    return [found, open(0, closefd=False).read()]
