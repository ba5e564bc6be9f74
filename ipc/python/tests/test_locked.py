"""A method that needs its object's lock says so in its name, and only who holds the lock calls it."""

import ast
import glob
import os
import unittest

PACKAGE = os.path.join(os.path.dirname(__file__), "../cpu_load_balancer")
MODULES = sorted(glob.glob(PACKAGE + "/**/*.py", recursive=True))
STANDARD = ("wait", "notify_all")  # of a Condition, which is its own lock and has threading.Condition's names


def is_lock(item):
    taken = item.context_expr
    name = taken.attr if isinstance(taken, ast.Attribute) else taken.id if isinstance(taken, ast.Name) else ""
    return name.lstrip("_") in ("lock", "condition", "self")  # the last: an object that is its own


class Calls(ast.NodeVisitor):
    """Finds who calls what needs a lock without one, and who says that he needs one in words alone."""

    def __init__(self):
        self.bare, self.words, self._held = [], [], False

    def _visit_under(self, held, nodes):
        before, self._held = self._held, held
        for node in nodes:
            self.visit(node)
        self._held = before

    def visit_FunctionDef(self, node):
        is_named = node.name.endswith("_locked") or node.name in STANDARD
        if "lock is held" in (ast.get_docstring(node) or "") and not is_named:
            self.words.append(node.name)
        self._visit_under(is_named, node.body)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node):
        self._visit_under(False, [node.body])

    def visit_With(self, node):
        self._visit_under(self._held or any(map(is_lock, node.items)), node.body)

    def visit_Call(self, node):
        if isinstance(node.func, ast.Attribute) and node.func.attr.endswith("_locked") and not self._held:
            self.bare.append(f"{node.func.attr} in line {node.lineno}")
        self.generic_visit(node)


def looked_at(text):
    calls = Calls()
    calls.visit(ast.parse(text))
    return calls.bare, calls.words


class Locked(unittest.TestCase):
    def test_what_needs_the_lock_has_that_name_and_is_called_under_it(self):
        named = 0
        for module in MODULES:
            with self.subTest(os.path.basename(module)), open(module, encoding="utf-8") as file:
                text = file.read()
                self.assertEqual(looked_at(text), ([], []))
                named += text.count("_locked(self")
        self.assertTrue(named)
        self.assertTrue(any("/futures/" in module for module in MODULES))

    def test_calls_without_the_lock_are_seen(self):
        text = 'def f(self):\n "lock is held."\n with self._lock:\n  self.a_locked()\n  g(lambda: self.b_locked())\n self.c_locked()\n'
        self.assertEqual(looked_at(text), (["b_locked in line 5", "c_locked in line 6"], ["f"]))


if __name__ == "__main__":
    unittest.main()
