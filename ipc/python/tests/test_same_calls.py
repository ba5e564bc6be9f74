"""AsyncEngine has the calls of Engine, and the page about them names all of them."""

import inspect
import os
import re
import unittest

from cpu_load_balancer import AsyncEngine, Engine

PAGE = os.path.join(os.path.dirname(__file__), "../../../docs/python.md")


def calls(cls):
    return {name: member for name, member in inspect.getmembers(cls) if not name.startswith("_")}


class SameCalls(unittest.TestCase):
    def test_async_engine_has_each_call_with_the_same_parameters(self):
        theirs = calls(AsyncEngine)
        for name, call in calls(Engine).items():
            if name == "socket":  # an attribute of one, a property of the other
                continue
            self.assertIn(name, theirs)
            if callable(call):
                own, other = (inspect.signature(c).parameters.values() for c in (call, theirs[name]))
                self.assertEqual([(p.name, p.kind, p.default) for p in own], [(p.name, p.kind, p.default) for p in other], name)
                self.assertTrue(call.__doc__ and theirs[name].__doc__, name)
        self.assertEqual(set(theirs), set(calls(Engine)))

    def test_page_names_each_call_and_no_other(self):
        with open(PAGE, encoding="utf-8") as page:
            text = page.read()
        for name in calls(Engine):
            if name not in ("daemon_pid", "socket"):
                self.assertRegex(text, rf"[`.]{name}\b", f"docs/python.md does not name {name}")
        for call in re.findall(r"`(?:engine\.|Engine\.|AsyncEngine\.)?([a-z_]+)\(", text):
            known = call in calls(Engine) or call in ("pip", "with", "main")
            self.assertTrue(known, f"docs/python.md names {call}, which Engine does not have")


if __name__ == "__main__":
    unittest.main()
