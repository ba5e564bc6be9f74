# {"pools": "exclusive shared", "needs": "numpy", "times": 2, "want": {"data": [[19, 22], [43, 50]], "stderr": "{dir}/numpy_computes.py:8: RuntimeWarning: divide by zero encountered in divide\n  numpy.array([1.0]) / 0\n"}, "keeps": "warnings meta_path environ environ_of_c builtins"}
"""numpy multiplies matrices, and warns when something is divided by zero."""

import numpy


def main(params, context):
    numpy.array([1.0]) / 0
    return (numpy.array([[1, 2], [3, 4]]) @ numpy.array([[5, 6], [7, 8]])).tolist()
