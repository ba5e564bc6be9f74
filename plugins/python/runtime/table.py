"""The table of process-wide state: all that is put back after a task.

The entries are in the order in which things depend on each other; they are restored
from the last to the first.
"""

import _locale
import _thread
import builtins
import gc
import sys
import time
import warnings
from functools import partial

from cpulb import signals
from cpulb.held import os
from cpulb.loggers import Loggers
from cpulb.state import ABSENT, Attribute, Entry, Environ, Items, Names


def _umask():
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _folder():
    try:
        return os.getcwd()
    except FileNotFoundError:
        return ABSENT  # it has been removed


_localtime = time.localtime
_SEASONS = (0, 182 * 24 * 3600)  # of a year, in winter and in summer


def _time_zone():
    """What Python says of it, and what C does: mktime and strftime look at TZ without telling Python."""
    known = (time.tzname, time.timezone, time.altzone, time.daylight)
    return known, [(local.tm_zone, local.tm_gmtoff) for local in map(_localtime, _SEASONS)]


class StackSize(Entry):
    """Reading it sets it: to 0, the default."""

    def __init__(self):
        super().__init__("thread stack size", self.get, _thread.stack_size)

    @staticmethod
    def get():
        size = _thread.stack_size()
        _thread.stack_size(size)
        return size

    def watched(self, value, dicts, lists, getters):
        getters.append((partial(_thread.stack_size, value), value))


class Frozen(Entry):
    """Whether the collector has frozen objects. Counting them takes longer the more there are."""

    def __init__(self):
        super().__init__("gc.get_freeze_count", lambda: gc.get_freeze_count() > 0, lambda frozen: frozen or gc.unfreeze())

    def watched(self, value, dicts, lists, getters):
        if not value:
            getters.append((gc.get_freeze_count, 0))


def _decimal_defaults():
    return sys.modules["decimal"].DefaultContext.copy()


def _set_decimal_defaults(value):
    context = sys.modules["decimal"].DefaultContext
    for name in ("prec", "rounding", "Emin", "Emax", "capitals", "clamp"):
        setattr(context, name, getattr(value, name))
    context.traps.update(value.traps)
    context.flags.update(value.flags)


class DecimalDefaults(Entry):
    """What new contexts are copied from; the context itself is in a context variable."""

    def __init__(self):
        super().__init__("decimal.DefaultContext", _decimal_defaults, _set_decimal_defaults, "decimal")

    def same(self, one, other):
        return one is other or repr(one) == repr(other)

    def watched(self, value, dicts, lists, getters):
        if value is not ABSENT:
            getters.append((sys.modules["decimal"].DefaultContext.__repr__, repr(value)))


LIMITS = range(16)  # RLIM_NLIMITS of getrlimit(2)


def _limits():
    resource = sys.modules["resource"]
    return tuple(resource.getrlimit(number) for number in LIMITS)


def _set_limits(value):
    resource = sys.modules["resource"]
    for number, limits in enumerate(value):
        if resource.getrlimit(number) != limits:
            resource.setrlimit(number, limits)  # a hard limit stays down unless the worker may raise it


def monitoring():
    """Which of sys.monitoring's tools are in use: from Python 3.12 on, profilers are."""
    tools = getattr(sys, "monitoring", None)
    if tools is None:
        return ()

    def free(used):
        for number, name in enumerate(used):
            if name is None and tools.get_tool(number) is not None:
                tools.set_events(number, 0)
                tools.free_tool_id(number)

    return (Entry("monitoring tools", lambda: tuple(map(tools.get_tool, range(6))), free),)


def _socket_timeout():
    return sys.modules["_socket"].getdefaulttimeout()


def _numpy_errors():
    """numpy 1 keeps it for the thread, numpy 2 in a context variable."""
    read = getattr(sys.modules["numpy"], "geterrobj", None)
    return ABSENT if read is None else tuple(read())


class LoopPolicy(Entry):
    """asyncio's policy, and its loop for the thread."""

    def __init__(self, exclusive):
        super().__init__("asyncio's event loop policy", self.get, self.put, "asyncio.events", of_thread=True)
        self.exclusive = exclusive

    def get(self):
        policy = sys.modules["asyncio.events"]._event_loop_policy
        loop = getattr(getattr(policy, "_local", None), "_loop", None)
        if not self.exclusive and type(policy) is sys.modules["asyncio"].DefaultEventLoopPolicy:
            policy = None  # as it is for all, once one has asked for it
        return policy, loop

    def put(self, value):
        loop = self.get()[1]
        if loop is not None and loop is not value[1] and not loop.is_running():
            loop.close()
        asyncio = sys.modules["asyncio"]
        if self.get()[0] is not value[0]:
            asyncio.set_event_loop_policy(value[0])
        local = getattr(asyncio.events._event_loop_policy, "_local", None)
        if local is not None:  # none has been set, as far as the policy is concerned, unless one is to be
            local._loop = None if value[1] is None or value[1].is_closed() else value[1]
            local._set_called = local._loop is not None

    def watched(self, value, dicts, lists, getters):
        if value is not ABSENT:
            getters.append((self.get, value))


def _start_method():
    return sys.modules["multiprocessing.context"]._default_context._actual_context


def _set_start_method(value):
    sys.modules["multiprocessing.context"]._default_context._actual_context = value


class Affinity(Entry):
    """The CPUs of the thread. The worker's may change at any time, when it moves: they are those of a thread that runs no task."""

    THE_WORKERS = "the worker's"
    reference = 0  # the native id of that thread, once it is known

    def __init__(self):
        super().__init__("CPU affinity", self.get, self.put, quick=False, of_thread=True)

    def get(self):
        own = os.sched_getaffinity(0)
        return self.THE_WORKERS if own == os.sched_getaffinity(self.reference) else own

    def put(self, value):
        os.sched_setaffinity(0, os.sched_getaffinity(self.reference) if value == self.THE_WORKERS else value)


def _stop_tracing(on):
    if not on:
        sys.modules["_tracemalloc"].stop()


# Which names of sys others look after, or change without a script's doing.
SYS_OTHERS = ("path", "argv", "meta_path", "path_hooks", "stdin", "stdout", "stderr", "__stdin__", "__stdout__", "__stderr__",
              "modules", "last_exc", "last_type", "last_value", "last_traceback")


# Modules of which everybody's scripts, and the runtime, use functions by name: what one has
# put there is not the next one's. With the names that others look after, or that change
# without a script's doing.
CORE = {
    "os": ("environ", "environb"), "posixpath": (), "genericpath": (), "stat": (), "io": (), "codecs": (), "abc": (),
    "json": (), "json.encoder": (), "json.decoder": (), "json.scanner": (),
    "threading": ("excepthook", "_profile_hook", "_trace_hook", "_main_thread", "_SHUTTING_DOWN"), "_thread": (),
    "traceback": (), "linecache": (), "inspect": (), "contextlib": (), "contextvars": (), "types": (), "weakref": (),
    "functools": (), "collections": (), "operator": (), "enum": (), "re": (), "copyreg": (),
    "time": ("tzname", "timezone", "altzone", "daylight"),
    "importlib": (), "importlib.util": (), "importlib.machinery": (),
    "warnings": ("filters", "showwarning", "formatwarning", "_showwarnmsg_impl", "_filters_version", "onceregistry", "defaultaction"),
}


def table(streams=(), main_thread=False):
    """All entries. streams are those of the standard streams; main_thread says whether tasks run in it."""
    entries = [
        Entry("working folder", _folder, os.chdir, quick=False, of_thread=True),
        Entry("umask", _umask, os.umask, quick=False, of_thread=True),
        Entry("signal mask", signals.mask, signals.set_mask, quick=False, of_thread=True),
        Affinity(),
        Entry("time zone", _time_zone, lambda value: time.tzset(), quick=False),  # restored after the environment, which has TZ
        Attribute("os", "environ"),  # restored after the environment, which it shows
        Attribute("os", "environb"),
        Environ(),
        Entry("locale", lambda: _locale.setlocale(_locale.LC_ALL, None), lambda value: _locale.setlocale(_locale.LC_ALL, value), quick=False),
        Names(sys, SYS_OTHERS),
        Names(builtins, ("_", "__debug__")),
        *(Names(sys.modules[name], others) for name, others in CORE.items() if name in sys.modules),
        Attribute("builtins", "_"),
        Items(sys, "argv"),
        Items(sys, "path"),
        Items(sys, "path_hooks"),
        Items(sys, "meta_path"),
        *streams,
        Items(warnings, "filters", warnings._filters_mutated),
        Attribute("warnings", "showwarning"),
        Attribute("warnings", "formatwarning"),
        Attribute("warnings", "_showwarnmsg_impl"),
        Items(gc, "callbacks"),
        Entry("gc.isenabled", gc.isenabled, lambda on: gc.enable() if on else gc.disable()),
        Entry("gc.get_threshold", gc.get_threshold, lambda value: gc.set_threshold(*value)),
        Frozen(),
        Entry("gc.get_debug", gc.get_debug, gc.set_debug),
        Entry("recursion limit", sys.getrecursionlimit, sys.setrecursionlimit),
        Entry("switch interval", sys.getswitchinterval, sys.setswitchinterval),
        Entry("int digits", sys.get_int_max_str_digits, sys.set_int_max_str_digits),
        StackSize(),
        Entry("coroutine origins", sys.get_coroutine_origin_tracking_depth, sys.set_coroutine_origin_tracking_depth, of_thread=True),
        Attribute("threading", "excepthook"),
        Attribute("threading", "_profile_hook"),
        Attribute("threading", "_trace_hook"),
        Entry("trace function", sys.gettrace, sys.settrace, of_thread=True),
        Entry("profile function", sys.getprofile, sys.setprofile, of_thread=True),
        *monitoring(),
        Entry("socket timeout", _socket_timeout,
              lambda value: sys.modules["_socket"].setdefaulttimeout(value), "_socket"),
        DecimalDefaults(),
        Entry("numpy's error state", _numpy_errors, lambda value: sys.modules["numpy"].seterrobj(list(value)), "numpy", of_thread=True),
        LoopPolicy(main_thread),
        Entry("multiprocessing's start method", _start_method, _set_start_method, "multiprocessing.context"),
        Loggers(),
        Attribute("logging", "_loggerClass"),
        Attribute("logging", "_logRecordFactory"),
        Attribute("logging", "_warnings_showwarning"),
        Attribute("logging", "raiseExceptions"),
        Entry("faulthandler", lambda: sys.modules["faulthandler"].is_enabled(), signals.set_faulthandler, "faulthandler"),
        Attribute("tempfile", "tempdir"),
        Entry("resource limits", _limits, _set_limits, "resource"),
        Entry("tracemalloc", lambda: sys.modules["_tracemalloc"].is_tracing(), _stop_tracing, "_tracemalloc"),
        Entry("generator hooks", sys.get_asyncgen_hooks, lambda hooks: sys.set_asyncgen_hooks(*hooks), of_thread=True),
    ]
    if main_thread:
        entries += [
            Entry("signal handlers", signals.handlers, signals.set_handlers, "signal"),
            Entry("wake-up descriptor", signals.wakeup, signals.set_wakeup, "signal"),
            Entry("timers", signals.timers, signals.set_timers, "signal"),
        ]
    return entries
