"""A worker that runs several tasks at once: they share the process as threads of any server do."""

import sys
from time import sleep

from cpulb import TaskCancelled, children, loader, rules, siblings, streams, table
from cpulb.errors import SameFailure
from cpulb.held import _embedpy, contextvars, filters_mutated, steady, threading
from cpulb.keeper import Keeper
from cpulb.modules import modules
from cpulb.owner import note_starters, owner, running
from cpulb.report import log, spend
from cpulb.scripts import Kept, Script, execute, find_file, module_name
from cpulb.loggers import Loggers
from cpulb.state import ABSENT, Attribute, Environ, Items, Names

# What a script adds while it is loaded is its own, also while other tasks run.
ADDED_TO = (Attribute, Environ, Items, Names, Loggers)
# What hardly any task changes, but imports of libraries do: it counts as theirs also while other tasks run.
IMPORTS_ADD = ("sys.path_hooks", "sys.meta_path", "warnings.filters")
WAIT_SECONDS = 0.02  # between two looks whether another task has loaded a script


class SharedKeeper(Keeper):
    """Puts back what was changed when all who may have done it have ended."""

    def __init__(self, table):
        super().__init__(table)
        self.running = set()
        self.lock = threading.RLock()  # of what follows; whoever takes it can't be interrupted
        self.of_thread = threading.local()  # values: what the thread has of its own, as it was before its first task
        self.suspects = {}  # index of an entry -> the contexts that may have changed it: those that run, and all

    def told_apart(self, before, after, own):
        """The indices of what an import has changed, of a library or of a script's own module, as far as that
        can be told from what other tasks change meanwhile."""
        def counts(entry):
            return isinstance(entry, ADDED_TO) if own else entry.name in IMPORTS_ADD
        return [i for i in self.changed(before, after)
                if len(self.running) <= 1 or before[i] is ABSENT or counts(self.table[i])]

    def learn(self, before, own):
        after = self.read_lasting()
        indices = self.told_apart(before, after, own)
        if own:
            context = owner()
            if context is not None and context._script is not None:
                self.lay(context, context._script, before, after, indices)
            return
        for want in self.wants():
            self.merge(want, before, after, indices)

    def lay(self, context, script, before, after, indices):
        """What loading a script has changed is there while its tasks run."""
        script.overlay.update((i, (before[i], after[i])) for i in indices)
        with self.lock:
            for i in indices:
                self.suspect(i).add(context)

    def suspect(self, i):
        """Those of whom one may have changed an entry, and who still run."""
        return self.suspects.setdefault(i, (set(), set(self.running)))[0]

    def enter(self, context):
        """A task begins on this thread."""
        self.running.add(context)
        if not hasattr(self.of_thread, "values"):
            self.of_thread.values = {i: entry.read() for i, entry in enumerate(self.table) if entry.of_thread}

    def want(self):
        """What is to be on this thread."""
        values = getattr(self.of_thread, "values", {})
        return [self.base[i] if values.get(i, ABSENT) is ABSENT else values[i] for i in range(len(self.base))]

    def begin(self, context, script):
        if not script.overlay:
            return
        with self.lock:
            for i, (before, after) in list(script.overlay.items()):
                self.suspect(i).add(context)
                entry = self.table[i]
                now = entry.read()
                wanted = entry.merge(now, before, after)
                if self.differs(i, now, wanted):
                    self.restore([i], {i: wanted})

    def end(self, context, of_thread):
        """A task has ended; of_thread: the thread was its own."""
        with self.lock:
            try:
                self.put_back(context, of_thread)
            finally:
                self.running.discard(context)

    def put_back(self, context, of_thread):
        drifted = _embedpy.drifted()
        if drifted:
            want = self.want()
            changed = self.changed(want, self.read())
            if of_thread:
                self.restore([i for i in changed if self.table[i].of_thread], want)
            for i in changed:
                if i not in self.suspects and not (of_thread and self.table[i].of_thread):
                    self.suspect(i).update(self.running)
        cleared = []
        for i, (left, _) in list(self.suspects.items()):
            left.discard(context)
            if not left:
                cleared.append(i)
        for i in sorted(cleared, reverse=True):
            self.clear(i, self.suspects.pop(i, (None, ()))[1])
        if drifted and not self.suspects:
            self.remember(self.base)

    def clear(self, i, contexts):
        entry, want = self.table[i], self.want()
        if not self.differs(i, entry.read(), want[i]):
            return
        self.restore([i], want)
        if self.differs(i, entry.read(), want[i]):
            spend("%s can't be put back" % entry.name)
        scripts = {context._script for context in contexts if context._script is not None}
        if scripts and not entry.quiet and not any(i in script.overlay for script in scripts):
            log("%s was left changed by %s; it has been put back"
                % (entry.name, " or ".join(sorted(script.path for script in scripts))))


class Loading:
    """A script that a task is loading while others wait for it."""

    error = None


class Scripts(Kept):
    def __init__(self, siblings):
        super().__init__()
        self.siblings = siblings

    def drop(self, script):
        super().drop(script)
        names = self.siblings.closure(script.name)
        changed = self.siblings.changed(names)
        if script.appeared_since():
            changed = names
        self.siblings.forget({script.name} | {name for name in names if changed & self.siblings.closure(name)})
        if not any(other.folder == script.folder for other in self.by_real.values()):
            self.siblings.release(script.folder)


class Shared:
    """All slots' scripts, and the state of the process around their tasks."""

    shared = True

    def __init__(self, folder):
        self.folder = folder
        self.streams = streams.entries(streams.of_task)
        self.keeper = SharedKeeper(table.table(self.streams))
        self.siblings = None
        self.kept = None
        self.loads = {}   # path -> Loading
        self.loading = contextvars.ContextVar("cpulb_loading", default=None)
        loader.watcher.script = self.script_that_loads

    def ready(self):
        modules.ready()
        self.siblings = siblings.install()
        self.kept = Scripts(self.siblings)
        note_starters()
        self.keeper.base = self.keeper.read()

    def serve_children(self):
        """multiprocessing.spawn is loaded."""
        rules.serve_children()
        children.serve(self.folder, self.siblings)

    def script_that_loads(self):
        script = self.loading.get()
        if script is None:
            context = owner()
            script = None if context is None else context._script
        return script

    def begin(self, context, path, function):
        """A task begins: return its script, which is loaded if need be, and its function."""
        steady()
        running.set(context)
        filters_mutated()  # a warning that a task before has shown is shown again
        self.keeper.enter(context)
        script = self.kept.get(path) or self.load_once(context, path)
        self.kept.used(script)
        context._script = script
        _embedpy.shielded(self.keeper.begin, context, script)
        return script, script.function(function)

    def enter(self, context):
        """The same in the script's own context."""
        running.set(context)

    def end(self, context, of_thread):
        steady()
        for entry in self.streams:
            entry.flush_replaced()
        context._ended = True
        try:
            self.keeper.end(context, of_thread)
        except BaseException as error:
            spend("the process can't be put back after %s: %s" % (context.script_path, type(error).__name__))
        running.set(None)
        sinks, context._sinks = context._sinks, {}
        return sinks

    def printed(self, context):
        """What a task has printed since the last call, to stdout and to stderr."""
        sinks = context._sinks
        return tuple(sinks[name].fresh() if name in sinks else "" for name in ("stdout", "stderr"))

    def load_once(self, context, path):
        """Load a script, or wait for another task that does, and fail as it does."""
        while True:
            mine = Loading()
            other = self.loads.setdefault(path, mine)
            if other is mine:
                break
            while self.loads.get(path) is other:
                _embedpy.unshielded(sleep, WAIT_SECONDS)
            if other.error is not None:
                raise SameFailure(other.error)
            script = self.kept.get(path)
            if script is not None:
                return script
        try:
            return self.load(context, path)
        except TaskCancelled:
            raise
        except BaseException as error:
            mine.error = error
            raise
        finally:
            _embedpy.shielded(self.loads.pop, path, None)

    def load(self, context, path):
        script = Script(path, *find_file(path))
        script.name = self.siblings.script_name(module_name(script.real), script.folder)
        script.variables = contextvars.copy_context()
        before = self.keeper.read()
        self.keeper.pending.append(before)
        self.siblings.forget([script.name])
        try:
            script.variables.run(self.execute, script)
        finally:
            _embedpy.shielded(self.loaded, context, script, before)
        script.files = self.siblings.files_of(script.name)
        self.kept.add(script)
        self.kept.collect()
        return script

    def loaded(self, context, script, before):
        self.keeper.drop_pending(before)
        after = self.keeper.read()
        self.keeper.lay(context, script, before, after, self.keeper.told_apart(before, after, True))

    def execute(self, script):
        self.loading.set(script)
        try:
            execute(script, script.name)
        finally:
            self.loading.set(None)
