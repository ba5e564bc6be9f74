"""Loading modules that are not a library's: scripts and what stands beside them.

They come through Python's own import system, by a hook in sys.path_hooks for folders
that are not a library's. Bytecode caches are neither read nor written: they tell
versions apart by whole seconds, and the folder may be somebody else's.
"""

import sys
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, FileFinder, SourceFileLoader, SourcelessFileLoader

from _embedpy import unshielded
from cpulb import confine
from cpulb.errors import unseen
from cpulb.held import os
from cpulb.keeper import importing
from cpulb.modules import modules


class Watcher:
    """Where it is noted what a script depends on."""

    executed = 0  # how many files of scripts have been executed, or are about to be

    def script(self):
        """The script for which the calling thread loads something, or None."""
        return None


watcher = Watcher()


class Source(SourceFileLoader):
    """Loads one file, always from its source."""

    def get_code(self, fullname):
        script = watcher.script()
        if script is not None:
            script.note(self.path)
        data = self.get_data(self.path)
        try:
            return self.source_to_code(data, self.path)
        except (ValueError, UnicodeError) as error:
            raise SyntaxError(str(error), (self.path, None, None, None)) from None
        finally:
            watcher.executed += 1

    def get_data(self, path):
        return confine.read(os.path.realpath(path)) if confine.folders else super().get_data(path)

    def exec_module(self, module):
        # An interrupt may strike in it, unlike in a library's import.
        depth, importing.depth = importing.depth, 0
        try:
            unshielded(super().exec_module, module)
        finally:
            importing.depth = depth

    exec_module = unseen(exec_module)


class Extension(ExtensionFileLoader):
    """Loads a compiled module. With script_dirs its file is looked at where it is opened, and
    then loaded by its name: the kernel's loader takes no descriptor."""

    def create_module(self, spec):
        script = watcher.script()
        if script is not None:
            script.note(self.path)
        if confine.folders:
            os.close(confine.open_(os.path.realpath(self.path)))
        return super().create_module(spec)


class Bytecode(SourcelessFileLoader):
    """Loads a module of which there is only compiled code, where no other user may write."""

    def get_data(self, path):
        script = watcher.script()
        if script is not None:
            script.note(path)
        if any(os.stat(name).st_mode & 0o022 for name in (path, os.path.dirname(path))):
            raise ImportError("%s is compiled code, and others may write it" % path, path=path)
        return confine.read(os.path.realpath(path)) if confine.folders else super().get_data(path)


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


def hook(path):
    """For sys.path_hooks: a finder for a folder that is not a library's."""
    if modules.is_library(os.path.realpath(path)) or not os.path.isdir(path):
        raise ImportError("not a folder of scripts", path=path)
    return Finder(path, *DETAILS)


def install():
    sys.path_hooks.insert(0, hook)
