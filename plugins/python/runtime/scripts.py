"""Scripts: loaded once, and loaded again when they, or modules of theirs, have changed."""

import gc
import sys
from collections import OrderedDict
from importlib.util import module_from_spec, spec_from_file_location
from time import monotonic_ns
from weakref import WeakSet

from _embedpy import resolved, signature
from cpulb.entry import entry_point
from cpulb.errors import SCARCE, Refusal
from cpulb.held import os
from cpulb.loader import Source
from cpulb.modules import modules
from cpulb.rules import preamble, rules

# For how long a look at the files on disk holds. Looking costs more than the rest
# of a small call; nobody can see a result, write a file and send a task within this.
LOOK_NS = 50_000
MAX_SCRIPTS = 256  # are kept; the least recently used goes first
LOOKED_FOR = 64    # of them are looked for at each load: those that are gone go
COLLECTED = 16     # scripts that went are worth a collection of garbage


class Script:
    """One file of a script, with all that loading it has brought."""

    def __init__(self, path, real, seen):
        self.path = path
        self.real = real
        self.seen = seen
        self.files = {}      # of its modules -> signature when it was read
        self.folders = {}    # folder -> [signature, names that were not there]
        self.own = {}        # its modules, by name
        self.aside = {}      # a library's modules of the same names, while its tasks run
        self.names = set()   # of what is in its folder, as modules have them
        self.want = None     # the process-wide state that its tasks are to find
        self.variables = None  # context variables, as loading has left them
        self.name = None     # of its module
        self.threads = WeakSet()  # started while it was loaded
        self.overlay = {}    # in a shared worker: index of an entry -> what it was before loading and after
        self.module = None
        self.functions = {}  # name -> (function, whether it takes the context)
        self.looked = monotonic_ns()
        self.named_folder = os.path.dirname(path)
        self.folder_seen = signature(self.named_folder)
        self.is_link = os.path.islink(path)
        self.stale = False

    @property
    def folder(self):
        return os.path.dirname(self.real)

    def note(self, file):
        """A module is read from this file."""
        self.files[file] = signature(file)

    def miss(self, folder, name):
        """A module was looked for there in vain."""
        known = self.folders.get(folder)
        if known is None:
            known = self.folders[folder] = [signature(folder), set()]
        known[1].add(name)

    def fresh(self):
        """Whether what was loaded is what is on disk."""
        now = monotonic_ns()
        if now - self.looked < LOOK_NS and not self.stale:
            return True
        self.looked = now
        return not self.stale and self.is_same() and self.files_are_same()

    def is_same(self):
        """Whether the path leads to the file that it led to."""
        if signature(self.path) != self.seen:
            return False
        folder = signature(self.named_folder)
        if folder == self.folder_seen and not self.is_link:
            return True
        # The folder has changed, or may be another one with a link to the same file.
        self.folder_seen = folder
        return resolved(self.path) == (self.real, self.seen)

    def files_are_same(self):
        # is_same has looked at the script's own.
        return all(file == self.path and seen == self.seen or signature(file) == seen for file, seen in tuple(self.files.items())) and \
            not any(self.appeared(folder, known) for folder, known in tuple(self.folders.items()))

    @staticmethod
    def appeared(folder, known):
        now = signature(folder)
        if now == known[0]:
            return False
        known[0] = now
        try:
            names = os.listdir(folder)
        except OSError:
            return False
        return not known[1].isdisjoint(name.partition(".")[0] for name in names)

    def appeared_since(self):
        """Whether a module that was looked for in vain is there now."""
        return any(name.partition(".")[0] in known[1] for folder, known in self.folders.items() if os.path.isdir(folder)
                   for name in os.listdir(folder))

    def function(self, name):
        found = self.functions.get(name)
        if found is None:
            found = self.functions[name] = entry_point(self.module, self.path, name)
        return found


class Kept:
    """The scripts that are loaded, by the path that tasks name and by their real one."""

    def __init__(self):
        self.by_path = {}
        self.by_real = OrderedDict()
        self.gone = 0

    def get(self, path):
        """The script of that path if it is loaded and has not changed."""
        script = self.by_path.get(path)
        if script is None:
            found = resolved(path)
            script = None if found is None else self.by_real.get(found[0])
            if script is None or script.seen != found[1]:
                return None
            self.by_path[path] = script
        if not script.fresh():
            self.drop(script)
            return None
        return script

    def add(self, script):
        old = self.by_real.pop(script.real, None)
        if old is not None:
            self.drop(old)
        self.by_real[script.real] = self.by_path[script.path] = script
        for other in list(self.by_real.values())[:LOOKED_FOR]:
            if other is not script and (len(self.by_real) > MAX_SCRIPTS or resolved(other.real) is None):
                self.drop(other)

    def used(self, script):
        if self.by_real.get(script.real) is script:
            self.by_real.move_to_end(script.real)

    def drop(self, script):
        script.stale = True
        if self.by_real.get(script.real) is script:
            self.by_real.pop(script.real, None)
        for path in [path for path, other in list(self.by_path.items()) if other is script]:
            self.by_path.pop(path, None)
        sys.path_importer_cache.pop(script.folder, None)
        self.gone += 1

    def collect(self):
        """Free what scripts that are gone have left: modules are cycles."""
        if self.gone >= COLLECTED:
            self.gone = 0
            gc.collect()


def execute(script, name):
    """Load the script's module under that name."""
    path = script.path
    loader = Source(name, path)
    module = module_from_spec(spec_from_file_location(name, path, loader=loader))
    sys.modules[name] = module
    try:
        loader.exec_module(module)
        script.module = sys.modules.get(name, module)
    except BaseException:
        sys.modules.pop(name, None)
        raise


def module_name(real):
    """The name of a script's module: its file's own if it can be imported by it and no library has it."""
    file = os.path.basename(real)
    stem = file[:-3] if file.endswith(".py") else ""
    if stem.isidentifier() and stem not in sys.stdlib_module_names and stem not in modules.library:
        return stem
    return "script-" + file.replace(".", "-")  # no import statement can name it


def find_file(path):
    """Return the real path and the signature of a script's file, or raise Refusal."""
    try:
        with open(rules.open(os.path.realpath(path)) if rules.folders else path, "rb") as file:
            file.read(1)
        found = resolved(path)
        if found is not None:
            return found
    except (FileNotFoundError, NotADirectoryError):
        pass
    except IsADirectoryError:
        raise Refusal("script_unreadable", "IsADirectoryError", "%s is a folder, not a script" % path) from None
    except (OSError, ValueError) as error:
        if getattr(error, "errno", None) in SCARCE:
            raise
        raise Refusal("script_unreadable", type(error).__name__, "the script can't be read: %s" % error) from None
    raise Refusal("script_not_found", "FileNotFoundError", "there is no script %s" % path)


def check(path):
    """Look at the file of a plain script: code, type and message of the reason why it can't be run, or the first
    statements of the interpreter that runs it; (): they are the script's."""
    try:
        find_file(path)
    except Refusal as refusal:
        return refusal.code, refusal.kind, str(refusal)
    return (preamble("names['run_plain']()"),) if rules.folders else ()
