# {"pools": "exclusive shared", "needs": "numpy", "times": 2, "want": {"data": ["warn", "FloatingPointError"]}, "keeps": "warnings", "changes": "numpy_errors"}
"""numpy.seterr holds for one task."""

import numpy


def main(params, context):
    found = numpy.seterr(all="raise")["divide"]
    try:
        numpy.array([1.0]) / 0
    except FloatingPointError as error:
        return [found, type(error).__name__]
