# {"pools": "exclusive shared", "times": 2, "want": {"data": [false, "made up"]}, "changes": "meta_path path_hooks"}
"""Import hooks of a script hold for its task."""

import importlib.abc
import importlib.machinery
import sys


class Maker(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path, target=None):
        return importlib.machinery.ModuleSpec(name, self) if name == "a_made_up_module" else None

    def exec_module(self, module):
        module.WHAT = "made up"


def main(params, context):
    found = any(type(finder).__name__ == "Maker" for finder in sys.meta_path)
    sys.meta_path.insert(0, Maker())
    sys.path_hooks.insert(0, lambda path: (_ for _ in ()).throw(ImportError))
    import a_made_up_module
    del sys.modules["a_made_up_module"]
    return [found, a_made_up_module.WHAT]
