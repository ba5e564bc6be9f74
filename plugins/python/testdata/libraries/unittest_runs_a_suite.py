# {"pools": "exclusive shared", "times": 2, "want": {"data": [3, 0, 1], "stdout": "of a test\n"}}
"""unittest discovers and runs the tests of a folder."""

import io
import os
import unittest


def main(params, context):
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cases")
    suite = unittest.TestLoader().discover(folder, "case_*.py", folder)
    result = unittest.TextTestRunner(io.StringIO()).run(suite)
    return [result.testsRun, len(result.errors), len(result.failures)]
