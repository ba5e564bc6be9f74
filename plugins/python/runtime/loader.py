"""Loading modules: those of scripts, with what stands beside them, and libraries.

Scripts come through Python's own import system, by a hook in sys.path_hooks for folders
that are not a library's. Their bytecode caches are neither read nor written: they tell
versions apart by whole seconds, and the folder may be somebody else's. A library's are
used where nobody else can have written them; see rules.py.
"""

import sys
from importlib.machinery import EXTENSION_SUFFIXES, FileFinder

from _embedpy import unshielded
from cpulb import rules
from cpulb.errors import unseen
from cpulb.held import os
from cpulb.keeper import importing
from cpulb.report import log


class Watcher:
    """Where it is noted what a script depends on."""

    executed = 0  # how many files of scripts have been executed, or are about to be

    def script(self):
        """The script for which the calling thread loads something, or None."""
        return None


watcher = Watcher()


class Source(rules.Source):
    """Loads one file, always from its source."""

    def get_code(self, fullname):
        script = watcher.script()
        if script is not None:
            script.note(self.path)
        try:
            return super().get_code(fullname)
        finally:
            watcher.executed += 1

    def exec_module(self, module):
        # An interrupt may strike in it, unlike in a library's import.
        depth, importing.depth = importing.depth, 0
        try:
            unshielded(super().exec_module, module)
        finally:
            importing.depth = depth

    exec_module = unseen(exec_module)


class Extension(rules.Extension):
    """Loads a compiled module."""

    def create_module(self, spec):
        script = watcher.script()
        if script is not None:
            script.note(self.path)
        return super().create_module(spec)


class Bytecode(rules.Bytecode):
    """Loads a script's module of which there is only compiled code, which none but those may have written who may write the script."""

    def get_data(self, path):
        script = watcher.script()
        if script is not None:
            script.note(path)
        return super().get_data(path)

    def also(self):
        script = watcher.script()
        return () if script is None else (os.stat(script.real).st_uid,)


class Finder(FileFinder):
    """Finds modules in one folder, and has it noted what is not there."""

    def find_spec(self, fullname, target=None):
        spec = super().find_spec(fullname, target)
        if spec is None or spec.loader is None:
            script = watcher.script()
            if script is not None:
                script.miss(self.path, fullname.rpartition(".")[2])
        return spec


DETAILS = ((Extension, EXTENSION_SUFFIXES), (Source, [".py"]), (Bytecode, [".pyc"]))


def install(daemon, folder):
    """Have files loaded by the rules; daemon is the uid of the process that has started the worker, folder the
    worker's own, with a copy of the rules."""
    rules.rules.users.add(daemon)
    rules.rules.log = log
    rules.rules.text = os.path.join(folder, "rules.py")
    sys.path_hooks.insert(0, rules.finders(Finder, DETAILS))
    sys.path_importer_cache.clear()
