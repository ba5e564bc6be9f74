# {"pools": "exclusive shared", "needs": "numpy", "want": {"code": "bad_return_value", "error": "TypeError"}, "python": "no", "keeps": "warnings"}
"""A masked item is no JSON value, and nothing is changed silently."""

import numpy


def main(params, context):
    return numpy.ma.masked_greater([1, 2, 3], 2)
