# {"pools": "exclusive shared", "function": "__main__", "params": [], "times": 2, "want": {"exit": 1, "stdout": "set up\n", "stderr_has": "FAILED (failures=1)"}}
"""unittest.main() finds the tests of __main__, and exits."""

import unittest


class Sums(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        print("set up")

    def test_right(self):
        self.assertEqual(1 + 1, 2)

    def test_wrong(self):
        self.assertEqual(1 + 1, 3)


if __name__ == "__main__":
    unittest.main()
