"""All of the client is Python that the oldest version takes."""

import ast
import os
import unittest

import cpu_load_balancer

PACKAGE = os.path.dirname(cpu_load_balancer.__file__)
OLDEST = (3, 9)


class Versions(unittest.TestCase):
    def test_all_files_are_of_the_oldest_version_and_evaluate_no_annotation(self):
        files = [os.path.join(folder, name) for folder, _, names in os.walk(PACKAGE) for name in names if name.endswith(".py")]
        self.assertGreater(len(files), 20)
        for path in files:
            with open(path, encoding="utf-8") as file:
                text = file.read()
            tree = ast.parse(text, path, feature_version=OLDEST)
            if any(getattr(node, "annotation", None) or getattr(node, "returns", None) for node in ast.walk(tree)):
                self.assertIn("from __future__ import annotations\n", text, path)


if __name__ == "__main__":
    unittest.main()
