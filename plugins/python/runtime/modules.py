"""sys.modules, told apart: the library's modules, which all scripts share, and each script's own.

A library is what stands in one of the folders that sys.path had when the worker was
ready. A module from elsewhere belongs to the script that has loaded it, under its
own name, and is in sys.modules while that script's tasks run.
"""

import sys

from cpulb.held import LOADED_BY_PYTHON, os
from cpulb.rules import rules


class Modules:
    """Who has which module."""

    def __init__(self):
        self.library = {}
        self.tops = set()  # the first parts of the library's names

    def ready(self):
        """What is there now is the library."""
        paths = {path for entry in sys.path if entry for path in (entry, os.path.realpath(entry))}
        rules.roots = tuple(path.rstrip("/") + "/" for path in paths)
        self.library = dict(sys.modules)
        self.tops = {name.partition(".")[0] for name in self.library}

    def is_library(self, path):
        return rules.is_library(path)

    def is_outside(self, module):
        """Whether a module is from no library; None if nobody can tell."""
        spec = getattr(module, "__spec__", None)
        origin = getattr(spec, "origin", None) or getattr(module, "__file__", None)
        if isinstance(origin, str) and origin.startswith("/"):
            return not self.is_library(origin)
        if origin in ("built-in", "frozen"):
            return False
        try:
            return any(not self.is_library(path) for path in module.__path__) or None
        except (AttributeError, TypeError):
            return None

    def look(self, before):
        """An import of a library has ended; before are the names that there were. Its modules are those
        that are new, but for what is known to be from elsewhere."""
        for name, module in list(sys.modules.items()):
            if name not in before and name not in self.library and not self.is_outside(module):
                self.add(name, module)

    def find_owners(self, script):
        """Give new modules to the script, but for those that are known to be a library's."""
        for name, module in list(sys.modules.items()):
            if name in self.library or name == "__main__" or script.own.get(name) is module:
                continue
            outside = self.is_outside(module)
            if outside is False or outside is None and name.partition(".")[0] in self.tops - script.own.keys():
                self.add(name, module)
            else:
                script.own[name] = module

    def add(self, name, module):
        self.library[name] = module
        self.tops.add(name.partition(".")[0])

    def take_out(self, script):
        for name, module in script.own.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]
        sys.modules.update(script.aside)
        script.aside.clear()

    def put_in(self, script):
        """The script's own modules, and those of its folder, come before a library's of the same name."""
        for top in self.tops & (script.names | {name.partition(".")[0] for name in script.own}):
            for name in [n for n in list(self.library) if n == top or n.startswith(top + ".")]:
                module = sys.modules.pop(name, None)
                if module is not None:
                    script.aside[name] = module
        sys.modules.update(script.own)

    def put_back(self, script):
        """What the script has removed from sys.modules or replaced there."""
        for name, module in list(self.library.items()):
            if sys.modules.get(name) is not module and name not in script.aside and name not in script.own:
                sys.modules[name] = module
        for name in [name for name, module in script.own.items() if sys.modules.get(name) is not module]:
            del script.own[name]


modules = Modules()
