"""Loading modules: those of scripts, with what stands beside them, and libraries.

Scripts come through Python's own import system, by a hook in sys.path_hooks for folders
that are not a library's. Their bytecode caches are neither read nor written: they tell
versions apart by whole seconds, and the folder may be somebody else's. A library's are
Python's own business, but for caches in which others may write who can't write the
source: what they plant there would be executed instead of it.
"""

import stat
import sys
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, FileFinder, SourceFileLoader, SourcelessFileLoader
from importlib.util import cache_from_source

from _embedpy import unshielded
from cpulb import confine
from cpulb.errors import unseen
from cpulb.held import os
from cpulb.keeper import importing
from cpulb.modules import modules
from cpulb.report import log


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


class CompiledLibrary(SourcelessFileLoader):
    """Loads a library's module of which there is only compiled code, where not everybody may write."""

    def get_data(self, path):
        if any(os.stat(name).st_mode & stat.S_IWOTH for name in (path, os.path.dirname(path))):
            raise ImportError("%s is compiled code, and anybody may write it" % path, path=path)
        return super().get_data(path)


class Bytecode(SourcelessFileLoader):
    """Loads a script's module of which there is only compiled code, where no other user may write."""

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


class Library(SourceFileLoader):
    """Loads a library's module, from its cache if that can be trusted."""

    def get_code(self, fullname):
        folder = os.path.dirname(self.path)
        reason = cache_is_foreign(folder)
        if reason is None:
            return super().get_code(fullname)
        if folder not in told:
            told.add(folder)
            log("the bytecode cache of %s is not used: %s" % (folder, reason))
        return self.source_to_code(self.get_data(self.path), self.path)


DETAILS = ((Extension, EXTENSION_SUFFIXES), (Source, [".py"]), (Bytecode, [".pyc"]))
OF_LIBRARIES = ((ExtensionFileLoader, EXTENSION_SUFFIXES), (Library, [".py"]), (CompiledLibrary, [".pyc"]))
told = set()  # folders of which the log has it


def cache_is_foreign(folder):
    """Why the bytecode cache of a library's folder can't be trusted, or None.

    Who may write in the folder itself can change the source, too; so may who owns it."""
    own = os.stat(folder)
    if own.st_mode & stat.S_IWOTH:
        return "anybody may write in the folder"
    try:
        cache = os.stat(os.path.dirname(cache_from_source(os.path.join(folder, "module.py"))))
    except OSError:
        return None  # it would be made by us
    if cache.st_uid not in (0, os.geteuid(), own.st_uid):
        return "it belongs to user %d" % cache.st_uid
    if cache.st_mode & stat.S_IWOTH:
        return "anybody may write in it"
    if cache.st_mode & stat.S_IWGRP and cache.st_gid != 0 and not (own.st_mode & stat.S_IWGRP and cache.st_gid == own.st_gid):
        return "group %d may write in it" % cache.st_gid
    return None


def hook(path):
    """For sys.path_hooks: a finder for a folder."""
    if not os.path.isdir(path):
        raise ImportError("not a folder", path=path)
    if modules.is_library(os.path.realpath(path)):
        return FileFinder(path, *OF_LIBRARIES)
    return Finder(path, *DETAILS)


def install():
    sys.path_hooks.insert(0, hook)
    sys.path_importer_cache.clear()
