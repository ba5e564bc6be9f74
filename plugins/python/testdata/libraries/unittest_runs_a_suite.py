# {"pools": "exclusive shared", "times": 2, "want": {"data": [3, 0, 1], "stdout": "of a test\n"}}
"""unittest discovers and runs the tests of a folder."""

import io
import os
import sys
import unittest


def main(params, context):
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cases")
    suite = unittest.TestLoader().discover(folder, "case_*.py", folder)
    result = unittest.TextTestRunner(io.StringIO()).run(suite)
    del sys.modules["case_of_sums"]  # another folder has one, too
    return [result.testsRun, len(result.errors), len(result.failures)]
