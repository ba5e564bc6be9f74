import unittest


class Sums(unittest.IsolatedAsyncioTestCase):
    def test_right(self):
        print("of a test")
        self.assertEqual(1 + 1, 2)

    def test_wrong(self):
        self.assertEqual(1 + 1, 3)

    async def test_async(self):
        self.assertTrue(True)
