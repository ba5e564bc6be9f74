"""The context that a script's main gets."""

import sys
from collections.abc import Mapping

from cpulb import TaskCancelled, TaskTimeout
from cpulb import values
from cpulb.errors import TooLarge
from cpulb.held import _embedpy, json, time, traceback
from cpulb.owner import Sink

PARTIAL, PROGRESS, LOG = 1, 2, 3
LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
CANCELLED, TIMED_OUT = 1, 2  # the reasons of _embedpy.flagged

FIELDS = ("task_id", "script_path", "task_type", "attempt", "labels", "deadline", "traceparent", "worker", "core", "slot")


class Log:
    """context.log: one method a level, with arguments as logging's methods have them."""

    __slots__ = ("_context",)

    def __init__(self, context):
        self._context = context

    def _log(self, level, message, args, exc_info=None, stack_info=False, extra=None, stacklevel=1):
        self._context._post(LOG, float(LEVELS[level]), formatted(message, args) + trace_of(exc_info))

    def debug(self, message, *args, **options):
        self._log("debug", message, args, **options)

    def info(self, message, *args, **options):
        self._log("info", message, args, **options)

    def warning(self, message, *args, **options):
        self._log("warning", message, args, **options)

    def error(self, message, *args, **options):
        self._log("error", message, args, **options)

    def exception(self, message, *args, exc_info=True, **options):
        self._log("error", message, args, exc_info=exc_info, **options)

    critical = fatal = error
    warn = warning


def formatted(message, args):
    """The message with its arguments; a bad one never ends the program."""
    text = str(message)
    if not args:
        return text
    if len(args) == 1 and isinstance(args[0], Mapping) and args[0]:
        args = args[0]
    try:
        return text % args
    except Exception as error:
        return "%s %r (%s: %s)" % (text, args, type(error).__name__, error)


def trace_of(exc_info):
    if not exc_info:
        return ""
    if isinstance(exc_info, tuple):
        exc_info = exc_info[1]
    error = exc_info if isinstance(exc_info, BaseException) else sys.exc_info()[1]
    return "" if error is None else "\n" + "".join(traceback.format_exception(error)).rstrip()


class Context(Mapping):
    """One attempt at a task, readable by attribute and as a mapping.

    deadline is in seconds since the epoch, or None; it is as the clock stood when the
    attempt began. core is the CPU that the worker is pinned to, or -1.
    """

    __slots__ = ("_slot", "_seq", "script_path", "task_id", "task_type", "attempt", "_deadline", "_due", "_labels", "_traceparent",
                 "_sinks", "_given", "_ended", "_script", "__weakref__")

    def __init__(self, slot, path, seq, task_id, task_type, attempt, timeout_ns, labels, traceparent):
        self._slot = slot
        self._seq = seq
        self.script_path = path
        self.task_id = task_id
        self.task_type = task_type
        self.attempt = attempt
        self._deadline = self._due = None
        if timeout_ns:
            self._deadline = time.time() + timeout_ns / 1e9
            self._due = time.monotonic() + timeout_ns / 1e9  # the same by the clock that is never set
        self._labels = labels  # JSON text until somebody asks
        self._traceparent = traceparent
        self._sinks = {}
        self._given = 0
        self._ended = False
        self._script = None

    deadline = property(lambda self: self._deadline)
    traceparent = property(lambda self: self._traceparent or None)
    worker = property(lambda self: self._slot.worker)
    core = property(lambda self: self._slot.core)
    slot = property(lambda self: self._slot.index)
    log = property(Log)

    @property
    def labels(self):
        if not isinstance(self._labels, dict):
            self._labels = json.loads(self._labels or "{}")
        return self._labels

    def remaining(self):
        """Seconds until the timeout strikes, not below 0; None without one."""
        return None if self._due is None else max(0.0, self._due - time.monotonic())

    @property
    def cancelled(self):
        """Whether the task has been asked to stop, for whatever reason."""
        return self._stop_reason() != 0

    def check_cancelled(self):
        """Raise TaskCancelled or TaskTimeout if the task has been asked to stop."""
        reason = self._stop_reason()
        if reason:
            raise TaskTimeout if reason == TIMED_OUT else TaskCancelled

    def progress(self, fraction, message=""):
        """Say how far the task is: fraction is from 0 to 1."""
        fraction = float(fraction)
        if not 0.0 <= fraction <= 1.0:
            raise ValueError("progress: the fraction must be from 0 to 1, not %r" % fraction)
        self._post(PROGRESS, fraction, str(message))

    def emit(self, value):
        """Send value as a partial result, before the task's end."""
        self._partial(values.to_json(value, values.make_encoder()))

    def _partial(self, text):
        self._given += len(text)
        if self._given > self._slot.result_bytes:
            raise TooLarge("the partial results are larger than limits.result_size, %d bytes" % self._slot.result_bytes)
        _embedpy.post(self._slot.index, self._seq, PARTIAL, 0.0, text)

    def _post(self, kind, number, text):
        text = text.encode("utf-8", "backslashreplace")
        _embedpy.post(self._slot.index, self._seq, kind, number, text)

    def _stop_reason(self):
        return _embedpy.flagged(self._slot.thread, self._seq)

    def _sink(self, stream):
        sink = self._sinks.get(stream)
        if sink is None:
            sink = self._sinks.setdefault(stream, Sink(self._slot.output_bytes))
        return sink

    def __getitem__(self, name):
        if name in FIELDS:
            return getattr(self, name)
        raise KeyError(name)

    def __iter__(self):
        return iter(FIELDS)

    def __len__(self):
        return len(FIELDS)

    __eq__ = object.__eq__  # one attempt is no other, whatever it says of itself
    __hash__ = object.__hash__

    def __repr__(self):
        return "<context of task %s>" % self.task_id
