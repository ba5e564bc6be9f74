"""The context that a script's main gets."""

import json
import math
import time
from collections.abc import Mapping

import _embedpy
from cpulb import TaskCancelled, TaskTimeout
from cpulb import values
from cpulb.errors import TooLarge
from cpulb.output import Sink

PARTIAL, PROGRESS, LOG = 1, 2, 3
LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
CANCELLED, TIMED_OUT = 1, 2  # the reasons of _embedpy.flagged

FIELDS = ("task_id", "script_path", "task_type", "attempt", "labels", "deadline", "traceparent", "worker", "core", "slot")


class Log:
    """context.log: one method a level, with arguments as logging has them."""

    __slots__ = ("_context",)

    def __init__(self, context):
        self._context = context

    def _log(self, level, message, args):
        text = str(message)
        self._context._post(LOG, float(LEVELS[level]), text % args if args else text)

    def debug(self, message, *args):
        self._log("debug", message, args)

    def info(self, message, *args):
        self._log("info", message, args)

    def warning(self, message, *args):
        self._log("warning", message, args)

    def error(self, message, *args):
        self._log("error", message, args)


class Context(Mapping):
    """One attempt at a task, readable by attribute and as a mapping.

    deadline is in seconds since the epoch, or None; core is the CPU that the
    worker is pinned to, or -1.
    """

    __slots__ = ("_slot", "script_path", "_task", "_sinks", "_labels", "_given", "_folder", "_own", "_undo", "__weakref__")

    def __init__(self, slot, path, task):
        self._slot = slot
        self.script_path = path
        self._task = task  # (seq, task_id, task_type, attempt, deadline_ns, labels as JSON, traceparent)
        self._sinks = {}
        self._given = 0
        self._folder = self._own = self._undo = None  # see own.py

    task_id = property(lambda self: self._task[1])
    task_type = property(lambda self: self._task[2])
    attempt = property(lambda self: self._task[3])
    traceparent = property(lambda self: self._task[6] or None)
    worker = property(lambda self: self._slot.worker)
    core = property(lambda self: self._slot.core)
    slot = property(lambda self: self._slot.index)
    log = property(Log)

    @property
    def labels(self):
        try:
            return self._labels
        except AttributeError:
            self._labels = json.loads(self._task[5] or "{}")
            return self._labels

    @property
    def deadline(self):
        return self._task[4] / 1e9 if self._task[4] else None

    def remaining(self):
        """Seconds until the deadline, not below 0; None without one."""
        return max(0.0, self.deadline - time.time()) if self._task[4] else None

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
        _embedpy.post(self._slot.index, self._task[0], PARTIAL, 0.0, text)

    def _post(self, kind, number, text):
        text = text.encode("utf-8", "backslashreplace")
        _embedpy.post(self._slot.index, self._task[0], kind, number, text)

    def _stop_reason(self):
        return _embedpy.flagged(self._slot.thread, self._task[0])

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

    def __repr__(self):
        return "<context of task %s>" % self.task_id
