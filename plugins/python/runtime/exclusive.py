"""A worker that runs one task at a time: the task owns the process."""

import sys
import weakref

from cpulb import loader, plain, rules, signals, streams, table
from cpulb.exits import executor_of
from cpulb.held import LOADED_BY_PYTHON, _embedpy, _thread, contextvars, filters_mutated, os, steady, threading
from cpulb.keeper import Exclusive as Keeper
from cpulb.modules import modules
from cpulb.report import log, spend
from cpulb.scripts import Kept, Script, execute, find_file, module_name

MOST_LATE = 256  # threads that tasks have left behind: with more, others may not get any


class Exclusive:
    """The one slot's scripts, and the state of the process around each of its tasks."""

    shared = False
    is_child = staticmethod(bool)  # whether a task has forked this process, which is possible where a process is one task's

    def __init__(self, forks=False, once=False):
        signals.default_interrupt()
        self.streams = streams.entries(streams.of_descriptor)
        entries = table.table(self.streams, main_thread=True)
        if once:  # nothing comes after the task, so that what it changes is nobody's matter
            entries = [entry for entry in entries if entry.name in ("sys.argv", "sys.path")]
        elif forks:  # each task has limits of its own, and fit.c puts them back
            entries = [entry for entry in entries if entry.name != "resource limits"]
        self.keeper = Keeper(entries)
        names = [entry.name for entry in self.keeper.table]
        self.argv, self.path = names.index("sys.argv"), names.index("sys.path")
        self.keeper.noticed.append(_thread._count)
        self.kept = Kept()
        self.plain = Kept()
        self.keeper.scripts = lambda: (*self.kept.by_real.values(), *self.plain.by_real.values())
        self.main = sys.modules[plain.MAIN]
        self.late = weakref.WeakSet()  # threads of tasks that have ended
        loader.watcher.script = lambda: self.keeper.script

    def ready(self):
        """Preloading is done: what is so now is the base."""
        modules.ready()
        self.keeper.base = self.keeper.read()
        self.threads = weakref.WeakSet(threading.enumerate())  # that preloading has started

    def begin(self, context, path, function):
        """Make the process that of the script, which is loaded if need be; return the script and its function."""
        filters_mutated()  # a warning that a task before has shown is shown again
        if function == plain.MAIN:
            return self.enter_plain(path)
        script = self.kept.get(path)
        if script is None:
            script = self.load(path)
        elif script is not self.keeper.script:
            self.kept.used(script)
            self.keeper.enter(script)
        return script, script.function(function)

    def leave(self):
        """The process is nobody's again, as if the last script had never been."""
        script, self.keeper.script = self.keeper.script, None
        if script is not None:
            modules.take_out(script)
            self.kept.drop(script)
        self.keeper.restore(self.keeper.changed(self.keeper.base, self.keeper.read()), self.keeper.base)

    def load(self, path):
        script = self.make(path, ("",))
        self.keeper.enter(script)
        self.keeper.load(script, lambda: script.variables.run(execute, script, module_name(script.real)))
        modules.find_owners(script)
        script.threads.update(threading.enumerate())
        self.kept.add(script)
        self.kept.collect()
        return script

    def make(self, path, argv):
        script = Script(path, *find_file(path))
        script.variables = contextvars.copy_context()
        script.want = list(self.keeper.base)
        script.want[self.argv] = argv
        script.want[self.path] = (script.folder, *script.want[self.path])
        script.names = {name.partition(".")[0] for name in os.listdir(script.folder)} - LOADED_BY_PYTHON
        script.names.discard(os.path.basename(script.real).partition(".")[0])
        return script

    def enter_plain(self, path):
        script = self.plain.get(path)
        if script is None:
            script = self.make(path, (path,))
            self.plain.add(script)
            self.plain.collect()
        else:
            self.plain.used(script)
        return script, (plain.Run(script, self), False)

    def enter_main(self, script, argv):
        """A plain script begins, with none of its modules loaded."""
        script.want[self.argv] = (script.path, *argv)
        self.keeper.enter(script)

    def leave_main(self, script):
        """It has ended; the next run loads its modules again, as a process of its own would."""
        modules.find_owners(script)
        modules.take_out(script)
        script.own.clear()
        script.files.clear()
        script.folders.clear()
        sys.modules[plain.MAIN] = self.main
        sys.path_importer_cache.pop(script.folder, None)

    def serve_children(self):
        """multiprocessing.spawn is loaded. It finds all that its children need: it is where python has it."""
        rules.serve_children()

    def end(self, context, of_thread):
        """A task has ended."""
        if context is not None:  # it was stopped before it had one
            context._ended = True
        return {}

    def printed(self, context):
        """Have what the task has printed be where its output is looked for."""
        for entry in self.streams:
            entry.show()
        return ()

    def settle(self):
        """Put the process back; called when something has changed."""
        steady()
        try:
            if _thread._count() or self.late:
                self.part_from_threads()
            self.keeper.settle()
        except BaseException as error:
            self.keeper.in_doubt = True
            spend("the process can't be put back after %s: %s" % (self.keeper.script.path, type(error).__name__))

    def part_from_threads(self):
        """Threads that a task has left: they are named, and what they print or where they go is not the next one's.

        Those that were started while the script was loaded are the script's, and
        those of an executor work for whoever gives them work.
        """
        before = set(self.late)
        alive = {thread for thread in threading.enumerate() if thread is not threading.main_thread()}
        own = set(self.threads).union(*(script.threads for script in self.keeper.scripts()))
        now = {thread for thread in alive if thread in before or thread not in own and executor_of(thread) is None}
        if now - before and self.keeper.script is not None:
            log("%s has left threads: %s" % (self.keeper.script.path, ", ".join(sorted(t.name for t in now - before))))
        if len(now) > MOST_LATE:
            spend("%s has left %d threads" % (self.keeper.script.path, len(now)))
        if now != before:
            self.late = weakref.WeakSet(now)
            streams.part_from(self.late, self.streams)
        if _thread._count():
            _embedpy.unshare_folder()
