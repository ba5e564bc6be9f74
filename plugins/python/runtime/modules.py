"""sys.modules, told apart: the library's modules, which all scripts share, and each script's own.

A library is what stands in one of the folders that sys.path had when the worker was
ready. A module from elsewhere belongs to the script that has loaded it, under its
own name, and is in sys.modules while that script's tasks run.
"""

import os
import sys

LOADED_BY_PYTHON = frozenset(sys.modules)  # before our own modules had any imports; what python3 itself has loaded


class Modules:
    """Who has which module."""

    def __init__(self):
        self.roots = ()
        self.library = {}

    def ready(self):
        """What is there now is the library."""
        paths = {path for entry in sys.path if entry for path in (entry, os.path.realpath(entry))}
        self.roots = tuple(path.rstrip("/") + "/" for path in paths)
        self.library = dict(sys.modules)

    def is_library(self, path):
        return (path + "/").startswith(self.roots)

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

    def look(self, owner=None, library=False):
        """Find the owners of new modules. library: those of which nobody can tell are a library's."""
        for name, module in [item for item in sys.modules.items() if item[0] not in self.library]:
            top = name.partition(".")[0]
            if name == "__main__" or owner is not None and owner.own.get(name) is module:
                continue
            outside = self.is_outside(module)
            if top != name and top in self.library and not outside or outside is False or outside is None and library:
                self.library[name] = module
            elif owner is not None:
                owner.own[name] = module

    def take_out(self, script):
        for name, module in script.own.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]
        sys.modules.update(script.aside)
        script.aside.clear()

    def put_in(self, script):
        """The script's own modules, and those of its folder, come before a library's of the same name."""
        for top in script.shadows:
            for name in [n for n in self.library if n == top or n.startswith(top + ".")]:
                module = sys.modules.pop(name, None)
                if module is not None:
                    script.aside[name] = module
        sys.modules.update(script.own)

    def put_back(self, script):
        """What the script has removed from sys.modules or replaced there."""
        for name, module in self.library.items():
            if sys.modules.get(name) is not module and name not in script.aside and name not in script.own:
                sys.modules[name] = module
        for name in [name for name, module in script.own.items() if sys.modules.get(name) is not module]:
            del script.own[name]


modules = Modules()
