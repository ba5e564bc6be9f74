"""What belongs to the process and not to a task: the kinds of entries in a table of it.

An Entry reads one thing, compares and restores it. What it has read is a value that
later changes do not change. table.py has the entries.
"""

import os as live_os  # for what scripts see of it
import sys
from types import ModuleType

from cpulb.held import _embedpy, os


ABSENT = type("ABSENT", (), {"__repr__": lambda self: "ABSENT"})()  # of a module that is not loaded, or a name that is not there


# What scripts change by just using a library is not worth a line of the log.
COMMON = ("tempfile.tempdir", "multiprocessing's start method", "asyncio's event loop policy", "generator hooks", "builtins._")


def is_loaded(name):
    """Whether a module is there, is one, and is not just being imported."""
    module = sys.modules.get(name)
    return type(module) is ModuleType and not getattr(module.__spec__, "_initializing", False)


class Entry:
    """One thing. read and write are functions; module has to be loaded for them.

    quick: read takes part in the quick look for changes after each task. The host
    looks at the others by itself. of_thread: each thread has its own.
    """

    def __init__(self, name, read, write, module=None, quick=True, of_thread=False):
        self.name = name
        self.read_loaded = read
        self.write = write
        self.module = module
        self.quick = quick
        self.of_thread = of_thread
        self.quiet = name in COMMON

    def read(self):
        if self.module is not None and not is_loaded(self.module):
            return ABSENT
        try:
            return self.read_loaded()
        except Exception:  # a script may have put anything in its place
            return ABSENT

    def same(self, one, other):
        return one is other or one == other

    def finish(self):
        """A task has ended."""

    def restore(self, value):
        if value is not ABSENT:
            self.write(value)

    def merge(self, value, before, after):
        """What value becomes when something changes before to after and that is to last."""
        return after

    def lasting(self, value):
        """What of a value that an import has left is to last."""
        return value

    def watched(self, value, dicts, lists, getters):
        """Add what the quick look is to look at: a dict, a list, or what a function returns."""
        if self.quick and value is not ABSENT:
            getters.append((self.read_loaded, value))


class Attribute(Entry):
    """A name of a module, which may not be there."""

    def __init__(self, module, attribute):
        super().__init__("%s.%s" % (module, attribute), self.get, None, module)
        self.attribute = attribute

    def get(self):
        return getattr(sys.modules[self.module], self.attribute, ABSENT)

    def same(self, one, other):
        return one is other

    def restore(self, value):
        module = sys.modules.get(self.module)
        if value is not ABSENT and module is not None:
            setattr(module, self.attribute, value)
        elif hasattr(module, self.attribute):
            delattr(module, self.attribute)

    def watched(self, value, dicts, lists, getters):
        if is_loaded(self.module):
            dicts.append(sys.modules[self.module].__dict__)


class Names(Entry):
    """All names of a module but those that others look after, or that are Python's own to change."""

    def __init__(self, module, but=()):
        super().__init__("names of " + module.__name__, self.get, self.put)
        self.names = module.__dict__
        self.but = frozenset(but)

    def get(self):
        return {name: value for name, value in self.names.copy().items() if name not in self.but}

    def same(self, one, other):
        try:
            return one == other  # which is quick for what is identical
        except Exception:  # of what can't be compared
            return one.keys() == other.keys() and all(one[name] is other[name] for name in one)

    def put(self, value):
        for name in [name for name in self.names if name not in value and name not in self.but]:
            del self.names[name]
        self.names.update(value)

    def merge(self, value, before, after):
        kept = {name: item for name, item in value.items() if name in after or name not in before}
        return {**kept, **{n: item for n, item in after.items() if n not in before or before[n] is not item}}

    def watched(self, value, dicts, lists, getters):
        dicts.append(self.names)


class Items(Entry):
    """A list of a module, by what is in it; the list stays the same object."""

    def __init__(self, module, attribute, changed=None):
        super().__init__("%s.%s" % (module.__name__, attribute), self.get, self.put)
        self.owner = module
        self.attribute = attribute
        self.list = getattr(module, attribute)
        self.changed = changed

    def get(self):
        found = getattr(self.owner, self.attribute, ABSENT)
        return tuple(found) if isinstance(found, list) else found

    def put(self, value):
        if isinstance(value, tuple):
            self.list[:] = value
            value = self.list
        setattr(self.owner, self.attribute, value)
        if self.changed is not None:
            self.changed()

    def merge(self, value, before, after):
        if not all(isinstance(items, tuple) for items in (value, before, after)):
            return after
        added = [item for item in after if item not in before and item not in value]
        first = [item for item in added if after.index(item) < len(added)]
        kept = [item for item in value if item in after or item not in before]
        return (*first, *kept, *(item for item in added if item not in first))

    def watched(self, value, dicts, lists, getters):
        dicts.append(self.owner.__dict__)
        now = tuple(self.list)  # the quick look compares objects: two texts of one folder would differ for ever
        lists.append((self.list, now if now == value else value if isinstance(value, tuple) else ()))


class Environ(Entry):
    """The environment, as C code sees it: os.environ writes through to it."""

    def __init__(self):
        super().__init__("environment", self.get, self.put, quick=False)
        self.live = live_os.environ

    def get(self):
        return dict(os.fsdecode(text).partition("=")[::2] for text in _embedpy.variables())

    def put(self, value):
        live_os.environ = self.live
        for name in {*self.live, *self.get()} - value.keys():
            self.live.pop(name, None)
            os.unsetenv(name)
        for name, text in value.items():
            self.live[name] = text

    def merge(self, value, before, after):
        kept = {name: text for name, text in value.items() if name in after or name not in before}
        return {**kept, **{n: text for n, text in after.items() if before.get(n) != text}}

    def lasting(self, value):
        # Not what C code has set past os.environ: readline does so, of the terminal that there is not.
        return {name: text for name, text in value.items() if self.live.get(name) == text}
