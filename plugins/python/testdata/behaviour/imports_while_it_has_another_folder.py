# {"pools": "exclusive shared", "fresh": true, "times": 2, "keeps": "warnings", "want": {"data": ["/usr", "on", 5, 3]}, "changes": "folder environ decimal"}
"""What a task has set stays set over an import in the middle, of a sibling and of a library."""

import decimal
import os
import sys


def main(params, context):
    os.chdir("/usr")
    os.environ["BEHAVIOUR_IMPORT"] = "on"
    decimal.getcontext().prec = 5
    sys.setrecursionlimit(3000)
    import colorsys  # noqa: F401
    import imported_in_the_middle
    return [os.getcwd(), os.environ["BEHAVIOUR_IMPORT"], decimal.getcontext().prec, imported_in_the_middle.LIMIT]
