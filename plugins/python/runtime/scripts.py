"""Scripts and the modules beside them.

Every folder of scripts is a package of its own, _cpulb_<hash of the folder>_<n>,
whose modules are the folder's files: folders with modules of the same name don't
meet in sys.modules. `import name` in such a module looks beside it first, as it
would under `python script.py`. When a script or a module it has imported from
its folder changes on disk, the folder gets the next n and is loaded afresh.

Bytecode caches are neither read nor written: they tell versions apart by whole
seconds, and the folder may be somebody else's.
"""

import _imp
import builtins
import hashlib
import importlib
import importlib.util
import inspect
import os
import sys
import threading
from importlib.machinery import PathFinder, SourceFileLoader
from time import monotonic_ns

from _embedpy import signature, unshielded
from cpulb import TaskCancelled, confine, plain
from cpulb.errors import Refusal, unseen
from cpulb.output import current

PREFIX = "_cpulb_"
# For how long a look at the files on disk holds. Looking costs more than the rest
# of a small call; nobody can see a result, write a file and send a task within this.
LOOK_NS = 50_000


class Loader(SourceFileLoader):
    """Loads one file of a folder, always from its source."""

    def __init__(self, fullname, path, folder):
        super().__init__(fullname, path)
        self.folder = folder

    def get_code(self, fullname):
        self.folder.watch(fullname, self.path)
        data = self.get_data(self.path)
        try:
            return self.source_to_code(data, self.path)
        except (ValueError, UnicodeError) as error:
            raise SyntaxError(str(error), (self.path, None, None, None)) from None

    def get_data(self, path):
        return confine.read(path) if confine.folders else super().get_data(path)

    def exec_module(self, module):
        module.__dict__["__builtins__"] = self.folder.builtins
        before = current.importing, current.loading
        current.importing, current.loading = 0, self.folder
        try:
            unshielded(super().exec_module, module)
        except TaskCancelled:
            # Before anyone who waits for this module goes on with half of it.
            self.folder.broken = True
            raise
        finally:
            current.importing, current.loading = before


class Folder:
    """One generation of a folder: a package whose modules are the folder's files."""

    def __init__(self, path, name):
        self.path = path
        self.name = name
        self.scripts = {}    # module name -> file, of the scripts that tasks named
        self.siblings = {}   # file -> signature, of modules that scripts imported
        self.seen = {}       # file -> signature when it was read
        self.top_level = {}  # name -> whether it is a file of this folder
        self.stale = False
        self.broken = False  # an interrupt has left some of its modules half made
        self.own = {}        # what its modules have changed while they were loaded; see own.py
        self.loading = 0     # tasks that are loading a script of it
        self.builtins = dict(builtins.__dict__, __import__=self.import_)
        package = importlib.util.module_from_spec(
            importlib.machinery.ModuleSpec(name, None, is_package=True))
        package.__path__ = [path]
        sys.modules[name] = package

    def watch(self, fullname, path):
        found = signature(path)
        self.seen[path] = found
        if fullname not in self.scripts:
            self.siblings[path] = found

    def changed(self, *files):
        """Whether one of these files or a sibling is not as it was when it was read."""
        for path in files:
            if signature(path) != self.seen[path]:
                return True
        return any(signature(path) != seen for path, seen in tuple(self.siblings.items()))

    def has(self, top):
        known = self.top_level.get(top)
        if known is None:
            known = self.top_level[top] = self._find(top)
        return known

    def _find(self, top):
        if top in sys.builtin_module_names or _imp.is_frozen(top):
            return False
        spec = PathFinder.find_spec(top, [self.path])
        if spec is None:
            return False
        # A folder without __init__.py gives way to a module from elsewhere.
        return spec.loader is not None or importlib.util.find_spec(top) is None

    @unseen
    def import_(self, name, globals=None, locals=None, fromlist=(), level=0):
        """__import__ for the folder's modules."""
        if level == 0:
            top = name.partition(".")[0]
            if self.has(top):
                file = self.scripts.get("%s.%s" % (self.name, top))
                if file is not None and file in self.seen:
                    self.siblings[file] = self.seen[file]  # a script that is a sibling too
                return builtins.__import__(name, {"__package__": self.name, "__name__": self.name,
                                                  "__path__": [self.path]}, None, fromlist, 1)
            try:
                return builtins.__import__(name, globals, locals, fromlist, 0)
            except ModuleNotFoundError as error:
                if error.name == top:
                    self.top_level.pop(top, None)  # the file may be written yet
                raise
        return builtins.__import__(name, globals, locals, fromlist, level)

    def forget(self):
        """Drop the folder's modules; tasks that still run keep theirs."""
        inner = self.name + "."
        for name in [n for n in sys.modules if n == self.name or n.startswith(inner)]:
            sys.modules.pop(name, None)


class Entry:
    """A function of a script as a task names it."""

    __slots__ = ("path", "seen", "folder", "function", "wants_context", "looked")

    def __init__(self, path, folder, seen, function, wants_context):
        self.path = path
        self.seen = seen
        self.folder = folder
        self.function = function
        self.wants_context = wants_context
        self.looked = monotonic_ns()

    def fresh(self):
        """Whether what was loaded is what is on disk."""
        now = monotonic_ns()
        if now - self.looked < LOOK_NS and not self.folder.stale:
            return True
        self.looked = now
        return not self.folder.stale and signature(self.path) == self.seen and not self.folder.changed()


class Finder:
    """Finds the modules of folders; first in sys.meta_path."""

    def __init__(self, folders):
        self.folders = folders

    def find_spec(self, name, path=None, target=None):
        if not name.startswith(PREFIX):
            return None
        folder = self.folders.get(name.partition(".")[0])
        if folder is None:
            return None
        file = folder.scripts.get(name)
        if file is not None:
            return importlib.util.spec_from_file_location(name, file, loader=Loader(name, file, folder))
        spec = PathFinder.find_spec(name, path)
        if spec is not None and type(spec.loader) is SourceFileLoader:
            spec.loader = Loader(name, spec.loader.path, folder)
            spec.cached = None
        return spec


class Scripts:
    """All scripts of the process, by the path that tasks name."""

    def __init__(self):
        self.entries = {}   # (path, function) -> Entry
        self.current = {}   # real folder -> its newest generation
        self.by_name = {}   # package name -> Folder
        self.count = {}     # real folder -> number of its newest generation
        self.lock = threading.Lock()
        sys.meta_path.insert(0, Finder(self.by_name))

    def find(self, path, function):
        """Return the Entry for a function of a script, loading what must be.

        Raises Refusal, SyntaxError, or what the script raises while it is loaded.
        """
        entry = self.entries.get((path, function))
        if entry is not None and entry.fresh():
            return entry
        if entry is not None:
            self.retire(entry.folder)
        while True:
            folder, entry, error = self._load(path, function)
            if not folder.broken:
                break
            self.retire(folder)
            if isinstance(error, TaskCancelled):
                break
            # Another task was interrupted while it made modules that we share.
        if error is not None:
            raise error
        self.entries[path, function] = entry
        return entry

    def _load(self, path, function):
        """Return the folder with the entry, or with the error that loading ended in."""
        readable(path)
        real = os.path.realpath(path)
        folder = self.current.get(os.path.dirname(real))
        if folder is not None and folder.changed(*(real,) if real in folder.seen else ()):
            self.retire(folder)
        folder = self._enter(os.path.dirname(real))
        try:
            return folder, self._load_in(folder, path, real, function), None
        except BaseException as error:
            return folder, None, error
        finally:
            with self.lock:
                folder.loading -= 1

    def _load_in(self, folder, path, real, function):
        name = "%s.%s" % (folder.name, module_name(os.path.basename(real)))
        folder.scripts.setdefault(name, real)
        if function == plain.MAIN:
            code = Loader(name, real, folder).get_code(name)
            return Entry(path, folder, folder.seen[real], plain.runner(path, code, folder), False)
        builtins.__import__(name)
        return Entry(path, folder, folder.seen[real], *entry_point(sys.modules[name], path, function))

    def _enter(self, path):
        """Return the newest generation of a folder, which stays while it is being loaded."""
        with self.lock:
            folder = self.current.get(path)
            if folder is None:
                number = self.count[path] = self.count.get(path, 0) + 1
                name = "%s%s_%d" % (PREFIX, hashlib.sha256(os.fsencode(path)).hexdigest()[:12], number)
                importlib.invalidate_caches()
                folder = Folder(path, name)
                self.by_name[name] = folder
                self.current[path] = folder
            folder.loading += 1
            return folder

    def retire(self, folder):
        """Make the next task of the folder load it afresh."""
        with self.lock:
            folder.stale = True
            if self.current.get(folder.path) is not folder:
                return
            del self.current[folder.path]
            # Generations before this one have had their time to end: a task that
            # still runs in one can no longer import what it has not yet.
            for name, old in tuple(self.by_name.items()):
                if old.path == folder.path and old is not folder and not old.loading:
                    del self.by_name[name]
                    old.forget()


def module_name(file):
    """The name a script has in its folder's package: its own if it can be imported."""
    stem = file[:-3] if file.endswith(".py") else ""
    if stem.isidentifier():
        return stem
    # No other file's name and no import statement can come to this one.
    return "script-" + file.replace(".", "-") + "-" + hashlib.sha256(os.fsencode(file)).hexdigest()[:8]


def readable(path):
    """Raise Refusal unless path is a file that can be read."""
    try:
        with open(confine.open_(os.path.realpath(path)) if confine.folders else path, "rb") as file:
            file.read(1)
    except (FileNotFoundError, NotADirectoryError):
        raise Refusal("script_not_found", "FileNotFoundError", "there is no script %s" % path) from None
    except IsADirectoryError:
        raise Refusal("script_unreadable", "IsADirectoryError", "%s is a folder, not a script" % path) from None
    except (OSError, ValueError) as error:
        raise Refusal("script_unreadable", type(error).__name__, "the script can't be read: %s" % error) from None


def entry_point(module, path, function):
    """Return the function of that name and whether it takes the context."""
    found = getattr(module, function, None)
    if found is None:
        raise Refusal("no_entry_point", "AttributeError",
                      "%s has no function %s; define %s(params, context)" % (path, function, function))
    if not callable(found):
        raise Refusal("no_entry_point", "TypeError", "%s: %s is a %s, not a function"
                      % (path, function, type(found).__name__))
    try:
        parameters = inspect.signature(found)
    except (TypeError, ValueError):
        return found, True  # a builtin that does not tell
    for arguments in (2, 1):
        try:
            parameters.bind(*(None,) * arguments)
            return found, arguments == 2
        except TypeError:
            pass
    raise Refusal("no_entry_point", "TypeError",
                  "%s: %s%s must take (params, context) or (params)" % (path, function, parameters))
