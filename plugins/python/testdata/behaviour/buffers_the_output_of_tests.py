# {"pools": "exclusive shared", "times": 2, "want": {"data": true, "stdout": "after\n"}}
"""unittest's buffer=True puts streams of its own in place for each test."""

import io
import unittest


class Prints(unittest.TestCase):
    def test(self):
        print("not shown")


def main(params, context):
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(Prints)
    result = unittest.TextTestRunner(stream=io.StringIO(), buffer=True).run(suite)
    print("after")
    return result.wasSuccessful()
