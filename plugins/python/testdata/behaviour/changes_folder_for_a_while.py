# {"pools": "exclusive shared", "times": 2, "want": {"data": ["/usr", true]}}
"""contextlib.chdir."""

import contextlib
import os


def main(params, context):
    before = os.getcwd()
    with contextlib.chdir("/usr"):
        inside = os.getcwd()
    return [inside, os.getcwd() == before]
