# {"pools": "exclusive shared", "needs": "numpy", "times": 2, "want": {"data": ["warn", "[1.     2.3333]"], "stdout": "[1.  2.3]\n"}, "keeps": "warnings"}
"""numpy's error state within a with block, and its print options."""

import numpy


def main(params, context):
    a = numpy.array([1, 7 / 3])
    with numpy.errstate(divide="ignore"):
        a / 0
    with numpy.printoptions(precision=1):
        print(a)
    with numpy.printoptions(precision=4):
        return [numpy.geterr()["divide"], str(a)]
