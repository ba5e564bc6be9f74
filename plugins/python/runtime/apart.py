"""A slot whose process is the task's own, and so is all that the process meets.

A child that a task forks by os.fork() comes back from the script as the task does, with the
task's whole stack. There it ends, as a child of `python3 script.py` does.
"""

import errno
from _signal import SIG_IGN, SIGCHLD, getsignal

from cpulb.errors import BadValue, TooLarge
from cpulb.held import _embedpy, os
from cpulb.loader import watcher
from cpulb.report import OWN_FILES
from cpulb.slot import Slot, settle

# What the kernel refuses the process because that has used up, or closed, what it had.
OF_PROCESS = frozenset((errno.EMFILE, errno.EBADF))


class TaskSlot(Slot):
    """Runs one task after the other, each with the params that have been put here for it."""

    def __init__(self, *about):
        super().__init__(*about)
        self.pid = 0  # the task's process; it is not there yet
        self.params = "null"
        self.settled = False  # whether something has been put back since somebody looked
        self.forked = False  # whether the task may have had children of which the kernel has kept no trace
        self.error = None  # in a child, what the script has raised in it

    def is_child(self):
        return os.getpid() != self.pid

    def run(self, *task):
        result = super().run(self.params, *task)
        if getsignal(SIGCHLD) == SIG_IGN:
            self.forked = True  # nobody has to wait for them then
        return () if self.is_child() else result

    def call(self, context, params, call, wants_context):
        if context._traceparent:
            # For what the task starts. It is put back with what the task leaves changed.
            os.environ["TRACEPARENT"] = context._traceparent
        return super().call(context, params, call, wants_context)

    def note_child(self):
        self.forked = True

    def settle(self):
        if not self.is_child():
            self.settled = True
            settle()

    def failed(self, exc):
        if self.is_child():
            self.error = exc
            return ()
        if isinstance(exc, MemoryError):
            spare()
        return super().failed(exc)

    def leave(self):
        """What a child ends with, see ep_leave; here nothing is left of what was done for the task."""
        part()  # C code can have forked it, of which Python knows nothing
        for stream in self.house.streams:
            stream.ours = stream.buffer = None  # the interpreter flushes those that it is the last to let go
        error, self.error = self.error, None
        if isinstance(error, (BadValue, TooLarge)) or self.began and not self.inside:
            error = None  # the script has ended, and its result is nobody's
        if error is not None:
            error.__traceback__ = of_script(error.__traceback__)
        return error, isinstance(error, KeyboardInterrupt)

    def is_fault(self, exc):
        if isinstance(exc, MemoryError):
            return False
        if isinstance(exc, OSError) and exc.errno in OF_PROCESS and (self.began or self.executed != watcher.executed):
            return False
        return super().is_fault(exc)

    def shortage(self, exc):
        return super().shortage(exc) or "out of memory (pool.memory) while the script ran"


def part():
    """From here on this is no task's process: nobody hears of it, and nothing is put back in it."""
    _embedpy.hang_up()
    _embedpy.remember((), (), ())


def of_script(trace):
    """A traceback without the runtime's own frames at its beginning."""
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(OWN_FILES):
        trace = trace.tb_next
    return trace


def spare():
    """From here on there is memory to say that there was none: see template.limit."""
    import resource
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))
