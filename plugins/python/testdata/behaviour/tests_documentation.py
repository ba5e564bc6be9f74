# {"pools": "exclusive shared", "times": 2, "want": {"data": [0, 2]}}
"""doctest replaces sys.stdout, sys.displayhook and more while it runs.

>>> 1 + 1
2
>>> print("text")
text
"""

import doctest
import sys


def main(params, context):
    return list(doctest.testmod(sys.modules[__name__]))
