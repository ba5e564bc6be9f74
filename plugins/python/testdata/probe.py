"""Looks at all that belongs to the whole process, or to the thread: what no task may leave changed to the next."""

import asyncio
import ctypes
import builtins
import decimal
import faulthandler
import gc
import locale
import logging
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import threading
import time
import tracemalloc
import warnings

libc = ctypes.CDLL(None)
libc.getenv.restype = ctypes.c_char_p
own = {"ANSWERS", "PYTHONDONTWRITEBYTECODE"}


def text(thing):
    """What tells thing apart from what stands in its place."""
    return "%s at %x" % (getattr(thing, "__qualname__", type(thing).__qualname__), id(thing))


def is_open(fd):
    try:
        os.fstat(fd)
        return True
    except OSError:
        return False


def stream(name):
    """A standard stream as far as print and input notice."""
    found = getattr(sys, name, None)
    if found is None:
        return None
    about = [type(found).__name__, found is getattr(sys, "__%s__" % name, None), getattr(found, "closed", None)]
    return about + [getattr(found, key, None) for key in ("encoding", "errors", "line_buffering", "newlines")]


def folder():
    try:
        return os.getcwd()
    except OSError as error:
        return str(error)


def umask():
    mask = os.umask(0o77)
    os.umask(mask)
    return mask


def event_loop():
    """The loop that is set for this thread, if any: none is made by looking."""
    if asyncio._get_running_loop() is not None:
        return text(None)  # the one that runs comes first anyway
    return text(getattr(getattr(asyncio.get_event_loop_policy(), "_local", None), "_loop", None))


def numpy_errors():
    numpy = sys.modules.get("numpy")
    return numpy and [numpy.geterr(), text(numpy.geterrcall())] or [
        {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}, text(None)]


def handlers():
    return {str(number): text(signal.getsignal(number)) for number in signal.valid_signals() if callable(signal.getsignal(number))
            or number in (signal.SIGINT, signal.SIGALRM, signal.SIGCHLD, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP)}


def state():
    """All of it, by name."""
    context = decimal.getcontext()
    root = logging.getLogger()
    return {
        "folder": folder(),
        "umask": umask(),
        "environ": {name: value for name, value in os.environ.items() if name not in own},
        "environ_of_c": {name: (libc.getenv(name.encode()) or b"").decode() for name in ("BEHAVIOUR", "TZ", "LC_ALL", "PATH")},
        "argv": sys.argv[1:],
        "path": sys.path[1:],
        "path_hooks": list(map(text, sys.path_hooks)),
        "meta_path": list(map(text, sys.meta_path)),
        "import_function": text(builtins.__import__),
        "stdin": stream("stdin"),
        "stdout": stream("stdout"),
        "stderr": stream("stderr"),
        "descriptors": [is_open(fd) for fd in (0, 1, 2)],
        "warnings": [str(f[0:1] + f[2:3]) + str(f[4]) for f in warnings.filters] + [text(warnings.showwarning), text(warnings.formatwarning)],
        "collector": [gc.isenabled(), list(gc.get_threshold()), gc.get_debug()],
        "frozen": gc.get_freeze_count(),
        "collector_callbacks": len(gc.callbacks),
        "recursion_limit": sys.getrecursionlimit(),
        "switch_interval": sys.getswitchinterval(),
        "int_digits": sys.get_int_max_str_digits(),
        "socket_timeout": socket.getdefaulttimeout(),
        "decimal": [context.prec, context.rounding, str(context.Emax)],
        "decimal_default": [decimal.DefaultContext.prec, decimal.DefaultContext.rounding],
        "numpy_errors": numpy_errors(),
        "locale": [locale.setlocale(category) for category in (locale.LC_CTYPE, locale.LC_NUMERIC, locale.LC_TIME, locale.LC_COLLATE)],
        "time_zone": list(time.tzname),
        "signal_mask": sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, []))),
        "signal_handlers": handlers(),
        "timers": [signal.getitimer(which)[1] > 0 or signal.getitimer(which)[0] > 0 for which in (0, 1, 2)],
        "affinity": sorted(os.sched_getaffinity(0)),
        "stack_size": threading.stack_size(),
        "excepthook": text(sys.excepthook),
        "displayhook": text(sys.displayhook),
        "unraisablehook": text(sys.unraisablehook),
        "breakpointhook": text(sys.breakpointhook),
        "threading_excepthook": text(threading.excepthook),
        "thread_hooks": [text(threading.gettrace()), text(threading.getprofile())],
        "trace": text(sys.gettrace()),
        "profile": text(sys.getprofile()),
        "coroutine_hooks": [sys.get_coroutine_origin_tracking_depth(), *map(text, sys.get_asyncgen_hooks())],
        "traceback_limit": getattr(sys, "tracebacklimit", None),
        "bytecode": [sys.dont_write_bytecode, sys.pycache_prefix],
        "loop_policy": type(asyncio.get_event_loop_policy()).__name__,
        "event_loop": event_loop(),
        "start_method": multiprocessing.get_start_method(allow_none=True),
        "builtins": {name: text(value) for name, value in vars(builtins).items()},
        "logging": [root.level, root.disabled, len(root.filters), list(map(text, root.handlers)), logging.root.manager.disable,
                    text(logging.getLoggerClass()), text(logging.getLogRecordFactory()), logging.raiseExceptions],
        "captured_warnings": text(logging._warnings_showwarning),
        "faulthandler": faulthandler.is_enabled(),
        "tracemalloc": tracemalloc.is_tracing(),
        "temporary_folder": tempfile.gettempdir(),
    }


def main(params, context):
    found = state()
    print("out")
    print("err", file=sys.stderr)
    try:
        found["input"] = input()
    except EOFError:
        found["input"] = "empty"
    return found


async def on_a_loop(params, context):
    return main(params, context)
