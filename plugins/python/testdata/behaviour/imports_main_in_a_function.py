# {"pools": "exclusive shared", "times": 2, "want": {"data": [true, true]}}
"""There is a module __main__ in every Python, whatever it is."""

import sys


def main(params, context):
    import __main__
    return [__main__ is sys.modules["__main__"], __name__ != "__main__"]
