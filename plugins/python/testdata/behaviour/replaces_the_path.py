# {"pools": "exclusive", "times": 2, "want": {"data": [true, "list", "ModuleNotFoundError"]}, "changes": "path"}
"""sys.path can be another list; the next task has the old one, with the script's folder first."""

import os
import sys


def main(params, context):
    found = sys.path[0] == os.path.dirname(os.path.abspath(__file__))
    sys.path = ["/nowhere"]
    try:
        import nobody_has_this_module  # noqa: F401
    except ModuleNotFoundError as error:
        return [found, type(sys.path).__name__, type(error).__name__]
