# {"pools": "exclusive shared", "times": 2, "want": {"data": [3, 1, 1], "stdout": "of a test\n"}}
"""unittest as a library: what it catches and patches is whole again afterwards."""

import io
import unittest
import warnings


class Cases(unittest.TestCase):
    def test_prints(self):
        print("of a test")

    def test_warns(self):
        with self.assertWarns(UserWarning), self.assertLogs(level="ERROR"):
            warnings.warn("expected")
            __import__("logging").error("expected")

    def test_fails(self):
        with self.subTest("one"):
            self.fail("as it should")


def main(params, context):
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(Cases)
    result = unittest.TextTestRunner(stream=io.StringIO()).run(suite)
    return [result.testsRun, len(result.failures), int(not result.errors)]
