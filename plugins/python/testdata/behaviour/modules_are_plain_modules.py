# {"pools": "exclusive shared", "want": {"data": [["module", "module"], ["module", "module"], ["module", "module"], ["module", "module"], ["list", "dict", "_Environ"]]}}
"""No module is anything but a module, no list of sys anything but a list: their attributes cost what they cost."""

import builtins
import os
import sys
import types

import a_plain_one


def main(params, context):
    plain = [[type(m).__name__, type(m).__mro__[0].__name__] for m in (sys, os, builtins, a_plain_one)
             if type(m) is types.ModuleType and isinstance(vars(m), dict)]
    return plain + [[type(sys.path).__name__, type(sys.modules).__name__, type(os.environ).__name__]]
