"""Changes one thing of the process in one way, or looks whether it is as it was.

WAYS has every entry of the table of process-wide state.
"""

import asyncio
import builtins
import cProfile
import decimal
import faulthandler
import gc
import io
import locale
import logging
import multiprocessing
import os
import resource
import signal
import socket
import sys
import tempfile
import threading
import time
import tracemalloc
import warnings

from cpulb import process, table

try:
    import numpy
except ImportError:
    numpy = None

kept = []
before = {}


def gone_folder():
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)


def by_descriptor():
    folder = os.open("/usr", os.O_RDONLY)
    os.fchdir(folder)
    os.close(folder)


def time_zone():
    os.environ["TZ"] = "Asia/Tokyo"
    time.tzset()


def time_zone_of_c():
    """The environment is as it was then, and so is what Python says of the time zone."""
    os.environ["TZ"] = "FAR+7"
    time.mktime((2020, 1, 1, 0, 0, 0, 0, 0, -1))
    del os.environ["TZ"]


def rebind(module, name, value):
    return lambda: setattr(module, name, value)


def wrapped(name):
    stream = getattr(sys, name)
    setattr(sys, name, io.TextIOWrapper(stream.buffer, "ascii"))


def profiled():
    kept.append(cProfile.Profile())
    kept[-1].enable()


def handler_of_a_logger():
    logging.getLogger("changes").addHandler(logging.NullHandler())


def closed(name):
    """In a shared worker nobody can close the streams."""
    return [] if process.house.shared else [lambda: getattr(sys, name).close()]


def limited(number, soft):
    resource.setrlimit(number, (soft, resource.getrlimit(number)[1]))


def streams(name):
    return [rebind(sys, name, io.StringIO()), rebind(sys, name, None), *closed(name),
            lambda: getattr(sys, name).detach(), lambda: wrapped(name), lambda: getattr(sys, name).reconfigure(encoding="latin-1"),
            lambda: getattr(sys, name).reconfigure(errors="ignore"), rebind(sys, "__%s__" % name, io.StringIO())]


WAYS = {
    "working folder": [lambda: os.chdir("/usr"), by_descriptor, gone_folder],
    "umask": [lambda: os.umask(0o005)],
    "signal mask": [lambda: signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])],
    "CPU affinity": [lambda: os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])],
    "time zone": [time_zone, time_zone_of_c],
    "os.environ": [rebind(os, "environ", {"NOT": "even a real one"})],
    "os.environb": [rebind(os, "environb", None)],
    "environment": [lambda: os.environ.update(CHANGED="1"), lambda: os.environ.pop("PATH"), lambda: os.putenv("CHANGED", "2"),
                    lambda: os.unsetenv("PATH"), lambda: os.environb.__setitem__(b"CHANGED", b"3"), os.environ.clear],
    "locale": [lambda: locale.setlocale(locale.LC_ALL, "C"), lambda: locale.setlocale(locale.LC_TIME, "C.UTF-8")],
    "names of sys": [rebind(sys, "excepthook", print), rebind(sys, "displayhook", print), rebind(sys, "unraisablehook", print),
                     rebind(sys, "breakpointhook", print), rebind(sys, "tracebacklimit", 1), rebind(sys, "changed", 1),
                     rebind(sys, "exit", print), lambda: delattr(sys, "getsizeof")],
    **{"names of " + name: [rebind(sys.modules[name], "changed", 1)] for name in table.CORE if name in sys.modules},
    "names of builtins": [rebind(builtins, "changed", 1), rebind(builtins, "sorted", list), lambda: delattr(builtins, "zip")],
    "builtins._": [rebind(builtins, "_", str), lambda: sys.displayhook(7)],
    "sys.argv": [lambda: sys.argv.append("-v"), rebind(sys, "argv", ["x"]), rebind(sys, "argv", None)],
    "sys.path": [lambda: sys.path.insert(0, "/x"), lambda: sys.path.append("/x"), rebind(sys, "path", []), lambda: sys.path.clear()],
    "sys.path_hooks": [lambda: sys.path_hooks.append(print), lambda: sys.path_hooks.pop(0)],
    "sys.meta_path": [lambda: sys.meta_path.insert(0, object()), rebind(sys, "meta_path", [])],
    "sys.stdin": [rebind(sys, "stdin", io.StringIO()), *closed("stdin"), lambda: sys.stdin.detach()],
    "sys.stdout": streams("stdout"),
    "sys.stderr": streams("stderr"),
    "warnings.filters": [lambda: warnings.simplefilter("error"), lambda: warnings.filterwarnings("ignore", "x"),
                         lambda: warnings.resetwarnings(), rebind(warnings, "filters", [])],
    "warnings.showwarning": [rebind(warnings, "showwarning", print)],
    "warnings.formatwarning": [rebind(warnings, "formatwarning", print)],
    "warnings._showwarnmsg_impl": [rebind(warnings, "_showwarnmsg_impl", print)],
    "gc.callbacks": [lambda: gc.callbacks.append(lambda *about: None)],
    "gc.isenabled": [gc.disable],
    "gc.get_threshold": [lambda: gc.set_threshold(1000)],
    "gc.get_freeze_count": [gc.freeze],
    "gc.get_debug": [lambda: gc.set_debug(gc.DEBUG_SAVEALL)],
    "recursion limit": [lambda: sys.setrecursionlimit(2000)],
    "switch interval": [lambda: sys.setswitchinterval(1)],
    "int digits": [lambda: sys.set_int_max_str_digits(0)],
    "thread stack size": [lambda: threading.stack_size(1 << 20)],
    "coroutine origins": [lambda: sys.set_coroutine_origin_tracking_depth(3)],
    "threading.excepthook": [rebind(threading, "excepthook", print)],
    "threading._profile_hook": [lambda: threading.setprofile(print)],
    "threading._trace_hook": [lambda: threading.settrace(lambda *about: None)],
    "trace function": [lambda: sys.settrace(lambda *about: None)],
    "profile function": [lambda: sys.setprofile(lambda *about: None), *([] if hasattr(sys, "monitoring") else [profiled])],
    "monitoring tools": [profiled, lambda: sys.monitoring.use_tool_id(1, "mine")],
    "socket timeout": [lambda: socket.setdefaulttimeout(7)],
    "decimal.DefaultContext": [rebind(decimal.DefaultContext, "prec", 5),
                               lambda: decimal.DefaultContext.traps.__setitem__(decimal.Inexact, True)],
    "numpy's error state": [lambda: numpy.seterr(all="raise")],
    "asyncio's event loop policy": [lambda: asyncio.set_event_loop_policy(type("Policy", (asyncio.DefaultEventLoopPolicy,), {})()),
                                    lambda: asyncio.set_event_loop(asyncio.new_event_loop())],
    "multiprocessing's start method": [lambda: multiprocessing.set_start_method("fork", force=True)],
    "loggers": [lambda: logging.basicConfig(level="DEBUG"), lambda: logging.disable(logging.ERROR), handler_of_a_logger,
                lambda: logging.getLogger("asyncio").setLevel("ERROR"), lambda: logging.getLogger().addFilter(print)],
    "logging._loggerClass": [lambda: logging.setLoggerClass(type("Mine", (logging.Logger,), {}))],
    "logging._logRecordFactory": [lambda: logging.setLogRecordFactory(lambda *about, **more: None)],
    "logging._warnings_showwarning": [lambda: logging.captureWarnings(True)],
    "logging.raiseExceptions": [rebind(logging, "raiseExceptions", False)],
    "faulthandler": [lambda: faulthandler.enable(file=2)],
    "tempfile.tempdir": [rebind(tempfile, "tempdir", "/nowhere")],
    "tracemalloc": [tracemalloc.start],
    "resource limits": [lambda: limited(resource.RLIMIT_NOFILE, 20), lambda: limited(resource.RLIMIT_CORE, 4096),
                        lambda: limited(resource.RLIMIT_AS, 1 << 40)],
    "generator hooks": [lambda: sys.set_asyncgen_hooks(print, print)],
    "signal handlers": [lambda: signal.signal(signal.SIGUSR1, print), lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
                        lambda: signal.signal(signal.SIGPIPE, signal.SIG_DFL)],
    "wake-up descriptor": [lambda: signal.set_wakeup_fd(os.open("/dev/null", os.O_WRONLY | os.O_NONBLOCK))],
    "timers": [lambda: signal.alarm(1000), lambda: signal.setitimer(signal.ITIMER_PROF, 1000)],
}


def main(params, context):
    entries = {entry.name: entry for entry in process.house.keeper.table}
    if params == "list":
        return {name: 0 if numpy is None and "numpy" in name else len(WAYS.get(name, ())) for name in entries}
    entry = entries[params["entry"]]
    if params["do"] == "look":
        now = entry.read()
        if not entry.same(before[entry.name], now):
            print(before[entry.name], now, sep="\n", file=sys.stderr)
            return False
        return True
    before[entry.name] = entry.read()
    WAYS[entry.name][params["way"]]()
    return not entry.same(before[entry.name], entry.read())
