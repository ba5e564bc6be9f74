# {"pools": "exclusive shared", "times": 2, "want": {"data": [true, "neighbour", "a neighbour"]}}
"""importlib.import_module finds what lies beside the script, under its own name."""

import importlib
import sys


def main(params, context):
    found = importlib.import_module("neighbour")
    import neighbour
    return [found is neighbour and sys.modules["neighbour"] is found, found.__name__, found.WHAT]
