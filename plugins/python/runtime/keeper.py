"""Putting the process back to what it was.

A Keeper knows what the process-wide state is to be: its own base and, of each
script, that with what loading the script has changed. What a library changes while
it is imported is for everybody, since that happens once: all learn of it.
"""

import sys

from cpulb.errors import unseen
from cpulb.held import _embedpy, threading
from cpulb.modules import modules
from cpulb.report import log, spend
from cpulb.state import ABSENT


class Importing(threading.local):
    """How deep the thread is in imports, counted from a script's own lines."""

    depth = 0


importing = Importing()


class Keeper:
    """The base of all; what may be put back, and when, is its subclasses' matter."""

    def __init__(self, table):
        self.table = table
        self.base = self.read()
        self.noticed = []  # functions: a change of what they return is looked into
        self.pending = []  # what was read before the imports and loads that go on
        self.after_import = {}  # name of a module -> what is to be done once it is loaded

    def read(self):
        return [entry.read() for entry in self.table]

    def read_lasting(self):
        """What is so after an import."""
        return [value if value is ABSENT else entry.lasting(value) for entry, value in zip(self.table, self.read())]

    def changed(self, before, after):
        """The indices of what is not the same, last first."""
        return [i for i in reversed(range(len(self.table))) if self.differs(i, before[i], after[i])]

    def differs(self, i, one, other):
        try:
            return not self.table[i].same(one, other)
        except BaseException:  # of what a script has put there; it is taken away
            return True

    def restore(self, indices, want):
        """Put these entries back to want."""
        for i in indices:
            try:
                self.table[i].restore(want[i])
            except BaseException as error:
                log("%s can't be put back: %s" % (self.table[i].name, type(error).__name__))

    def merge(self, want, before, after, indices):
        for i in indices:
            want[i] = after[i] if ABSENT in (want[i], before[i]) else self.table[i].merge(want[i], before[i], after[i])

    def drop_pending(self, before):
        for i, other in enumerate(self.pending):
            if other is before:
                del self.pending[i]
                return

    def remember(self, want):
        """Have the quick look compare with want, which is so now."""
        dicts, lists, getters = [sys.modules], [], []
        for entry, value in zip(self.table, want):
            try:
                entry.watched(value, dicts, lists, getters)
            except Exception:  # a module of that name is another one just now
                pass
        getters += [(read, read()) for read in self.noticed]
        _embedpy.remember(tuple(dicts), tuple(lists), tuple(getters))

    def wants(self):
        """All lists that are to learn of what a library does."""
        return [self.base, *self.pending]

    def learn(self, before, own):
        """An import has ended: of a library, or of a module of a script's own."""
        after = self.read_lasting()
        indices = self.changed(before, after)
        for want in self.own_wants() if own else self.wants():
            self.merge(want, before, after, indices)

    def own_wants(self):
        """The lists that are to learn of what a script's own module does while it is imported."""
        return ()

    def import_(self, name, find_and_load, import_):
        """Import a module that is not loaded yet."""
        if importing.depth:
            importing.depth += 1
            try:
                return find_and_load(name, import_)
            finally:
                importing.depth -= 1
        before, names = self.read(), set(sys.modules)
        self.pending.append(before)
        importing.depth = 1
        try:
            return find_and_load(name, import_)
        finally:
            importing.depth = 0
            self.drop_pending(before)
            for loaded in [loaded for loaded in list(self.after_import) if loaded in sys.modules]:
                self.after_import.pop(loaded, bool)()
            found = sys.modules.get(name.partition(".")[0])
            if found is not None:
                own = modules.is_outside(found)
                if not own:
                    modules.look(names)
                self.learn(before, own)

    import_ = unseen(import_)


class Exclusive(Keeper):
    """In a process that runs one task at a time: the task owns it, and its script says what is to be."""

    def __init__(self, table):
        self.script = None
        self.loading = False
        self.in_doubt = False  # whether something could not be put back
        self.scripts = lambda: ()  # all that are kept
        super().__init__(table)

    def wants(self):
        scripts = {id(script): script for script in (*self.scripts(), self.script) if script is not None}
        return [*super().wants(), *(script.want for script in scripts.values())]

    def own_wants(self):
        return [self.script.want] if self.script is not None and not self.loading else ()

    def enter(self, script):
        """Make the process that of a script."""
        before, self.script = self.script, script
        if before is not None:
            modules.take_out(before)
        modules.put_in(script)
        # Between two tasks the process is as the script before wants it.
        was = self.read() if before in (None, script) or self.in_doubt else before.want
        self.in_doubt = False
        self.restore(self.changed(was, script.want), script.want)
        self.remember(script.want)

    def load(self, script, load):
        """Call load; what it changes belongs to the script."""
        before = self.read()
        self.pending.append(before)
        self.loading = True
        try:
            return load()
        finally:
            self.loading = False
            self.drop_pending(before)
            after = self.read()
            for i in self.changed(before, after):
                script.want[i] = after[i]
            self.remember(script.want)

    def settle(self):
        """Put everything back to what the script wants; called when something has changed."""
        script = self.script
        if script is None:
            return
        for entry in self.table:
            entry.finish()
        modules.find_owners(script)
        modules.put_back(script)
        self.restore(self.changed(script.want, self.read()), script.want)
        left = self.changed(script.want, self.read())
        if left:
            self.in_doubt = True
            spend("%s left what can't be put back: %s" % (script.path, ", ".join(self.table[i].name for i in left)))
        self.remember(script.want)
