"""Modules beside scripts, where scripts of several folders share a process.

sys.modules has one module of each name. The first folder's module keeps its name;
one of the same name from another folder, or one that a library has, gets a private
name, and import statements of that folder's modules are compiled to ask for it.
importlib.import_module("name") there gets the first folder's, as the log says.
"""

import ast
import hashlib
import sys
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import spec_from_file_location

from _embedpy import signature
from cpulb.held import os
from cpulb.loader import DETAILS, Finder, Source, watcher
from cpulb.modules import LOADED_BY_PYTHON, modules
from cpulb.report import log


def hidden(name, folder):
    """The private name of a folder's module."""
    return "_cpulb_%s_%s" % (hashlib.sha256(os.fsencode(folder)).hexdigest()[:8], name)


class Siblings:
    """The names that folders have; first in sys.meta_path."""

    def __init__(self):
        self.folders = {}  # name of a top-level module -> the folder that has it
        self.private = {}  # private name -> (folder, the name of its file)
        self.finders = {}  # folder -> Finder
        self.files = {}    # name of a top-level module -> {file: signature}, of it and what is inside it
        self.uses = {}     # name of a top-level module -> names of those that its import statements name

    def finder(self, folder):
        found = self.finders.get(folder)
        if found is None:
            found = self.finders[folder] = Finder(folder, *DETAILS)
        return found

    def find_spec(self, name, path=None, target=None):
        if path is not None:
            return None  # a submodule: its package knows
        private = self.private.get(name)
        if private is not None:
            return self.renamed(name, *private)
        folder = self.folders.get(name)
        if folder is None:
            script = watcher.script()
            if script is None or self.name_for(name, script.folder) != name:
                return None
            folder = script.folder
        return self.finder(folder).find_spec(name)

    def renamed(self, name, folder, file):
        spec = self.finder(folder).find_spec(file)
        if spec is not None and spec.loader is None:  # a namespace package
            renamed = ModuleSpec(name, None, is_package=True)
            renamed.submodule_search_locations = list(spec.submodule_search_locations)
            return renamed
        if spec is None or spec.origin is None:
            return spec
        return spec_from_file_location(name, spec.origin, loader=type(spec.loader)(name, spec.origin),
                                       submodule_search_locations=spec.submodule_search_locations)

    def name_for(self, name, folder):
        """The name by which modules of a folder are to import a module beside them; None: there is none."""
        owner = self.folders.get(name)
        if owner == folder or name in LOADED_BY_PYTHON:
            return name if owner == folder else None
        spec = self.finder(folder).find_spec(name)
        if spec is None:
            return None
        library = name in sys.stdlib_module_names or PathFinder.find_spec(name, library_path()) is not None
        if spec.loader is None and library:
            return None  # a folder without __init__.py gives way
        if owner is None and not library and self.folders.setdefault(name, folder) == folder:
            return name
        return self.private_name(name, folder, owner)

    def private_name(self, name, folder, owner):
        known = hidden(name, folder) in self.private
        private = self.hide(name, folder)
        if not known:
            log("%s of %s is imported as %s, because %s has a module of that name; rename one, or give the scripts pools of "
                "their own, or one with threads = 1" % (name, folder, private, owner or "a library"))
        return private

    def script_name(self, name, folder):
        """The name for a script's own module: its file's, unless another folder or a library has it."""
        if self.folders.setdefault(name, folder) == folder and name.isidentifier():
            return name
        return self.hide(name, folder)

    def hide(self, name, folder):
        """Give a module a private name."""
        private = hidden(name, folder)
        self.private[private] = folder, name
        self.folders[private] = folder
        return private

    def compile(self, source, fullname, path):
        """Compile a module; its imports name the modules that they get."""
        top = fullname.partition(".")[0]
        folder = self.folders.get(top)
        self.files.setdefault(top, {})[path] = signature(path)
        try:
            tree = ast.parse(source, path)
        except SyntaxError as error:
            raise error.with_traceback(None)  # it is the script's, not ast's
        if folder is not None:
            used = self.uses.setdefault(top, set())
            tree = ast.fix_missing_locations(Renaming(self, folder, used).visit(tree))
        return compile(tree, path, "exec", dont_inherit=True)

    def closure(self, top):
        """All top-level modules that one uses, itself included."""
        found, left = set(), [top]
        while left:
            name = left.pop()
            if name not in found:
                found.add(name)
                left.extend(self.uses.get(name, ()))
        return found

    def files_of(self, top):
        return {file: seen for name in self.closure(top) for file, seen in self.files.get(name, {}).items()}

    def changed(self, names):
        """Which of these modules are not as they were read."""
        return {name for name in names if any(signature(f) != seen for f, seen in self.files.get(name, {}).items())}

    def forget(self, names):
        """Have these modules loaded again when they are asked for; tasks that run keep theirs."""
        for name in names:
            self.files.pop(name, None)
            self.uses.pop(name, None)
            for loaded, module in list(sys.modules.items()):
                if (loaded == name or loaded.startswith(name + ".")) and \
                        not getattr(getattr(module, "__spec__", None), "_initializing", False):
                    sys.modules.pop(loaded, None)

    def release(self, folder):
        """No script of the folder is left: its names are free."""
        self.finders.pop(folder, None)
        names = [name for name, owner in list(self.folders.items()) if owner == folder]
        self.forget(names)
        for name in names:
            self.folders.pop(name, None)
            self.private.pop(name, None)


class Renaming(ast.NodeTransformer):
    """Has import statements ask for private names, and notes what they ask for."""

    def __init__(self, siblings, folder, used):
        self.siblings = siblings
        self.folder = folder
        self.used = used

    def name_for(self, name):
        top, dot, rest = name.partition(".")
        found = self.siblings.name_for(top, self.folder)
        if found is None:
            return name, top, top
        self.used.add(found)
        return found + dot + rest, top, found

    def visit_Import(self, node):
        statements = []
        for alias in node.names:
            name, top, found = self.name_for(alias.name)
            if alias.asname is None and found != top:
                if name != found:  # import a.b: both are imported, and a is bound
                    statements.append(ast.Import([ast.alias(name)]))
                alias = ast.alias(found, top)
            else:
                alias = ast.alias(name, alias.asname)
            statements.append(ast.copy_location(ast.Import([alias]), node))
        return [ast.copy_location(statement, node) for statement in statements]

    def visit_ImportFrom(self, node):
        if node.level == 0 and node.module != "__future__":
            node.module = self.name_for(node.module)[0]
        return node


def library_path():
    return [path for path in sys.path if modules.is_library(os.path.realpath(path))]


def install():
    siblings = Siblings()
    sys.meta_path.insert(0, siblings)
    Source.source_to_code = lambda self, data, path: siblings.compile(data, self.name, path)
    return siblings
