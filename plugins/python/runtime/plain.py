"""Plain scripts: what `python script.py` would run, as a task of an exclusive worker.

A task whose function is "__main__" runs the file from its first line as the module
__main__, with sys.argv from params. It completes with its exit code, 0; any other is
a failure. At its end happens what happens at the end of a process: its threads are
waited for, what it has registered with atexit is called, its variables go.
"""

import atexit
import _thread
import builtins
import gc
import sys
import threading
import traceback
import weakref
from types import ModuleType

from cpulb import TaskCancelled
from cpulb.errors import ExitCode, Refusal
from cpulb.keeper import importing
from cpulb.loader import Source

MAIN = "__main__"


def arguments(params):
    """The script's arguments: params is a list of them, or has one as "argv"; else there are none."""
    given = params.get("argv", []) if isinstance(params, dict) else params
    if given is None:
        given = []
    if not isinstance(given, list) or not all(isinstance(a, (str, int, float)) and not isinstance(a, bool) for a in given):
        raise Refusal("bad_params", "TypeError", "params of a plain script are a list of strings and numbers, its arguments, "
                      'or an object with such a list as "argv"')
    return [str(a) for a in given]


class AtExit:
    """What the script registers with atexit while it runs. What libraries register
    while they are imported is the process's own."""

    def __enter__(self):
        self.calls = []
        self.before = atexit.register, atexit.unregister
        atexit.register, atexit.unregister = self.register, self.unregister
        return self

    def register(self, func, *args, **kwargs):
        if importing.depth or func == weakref.finalize._exitfunc:
            return self.before[0](func, *args, **kwargs)
        self.calls.append((func, args, kwargs))
        return func

    def unregister(self, func):
        self.calls[:] = [call for call in self.calls if call[0] != func]
        self.before[1](func)

    def __exit__(self, *about):
        atexit.register, atexit.unregister = self.before

    def run(self):
        while self.calls:
            func, args, kwargs = self.calls.pop()
            try:
                func(*args, **kwargs)
            except TaskCancelled:
                raise
            except BaseException as error:
                sys.unraisablehook(Unraisable(error, func))


class Unraisable:
    """What sys.unraisablehook gets."""

    def __init__(self, error, func):
        self.exc_type, self.exc_value, self.exc_traceback = type(error), error, error.__traceback__.tb_next
        self.err_msg, self.object = "Exception ignored in atexit callback", func


class Run:
    """One run of a script; called with params."""

    def __init__(self, script, house):
        self.script = script
        self.house = house

    def __call__(self, params):
        self.house.enter_main(self.script, arguments(params))
        module = ModuleType(MAIN)
        loader = Source(MAIN, self.script.path)
        module.__dict__.update(__file__=self.script.path, __builtins__=builtins, __loader__=loader, __cached__=None,
                               __annotations__={})
        before = set(threading.enumerate())
        finalizers = set(weakref.finalize._registry)
        sys.modules[MAIN] = module
        try:
            with AtExit() as exits:
                failure = self.execute(loader, module)
                end_main_thread()
                end_threads(before)
                exits.run()
                end_libraries(finalizers)
        finally:
            revive_main_thread()
            module.__dict__.clear()
            del module
            self.house.leave_main(self.script)
            gc.collect(1)
        if failure is not None:
            raise failure
        return {"exit_code": 0}

    def execute(self, loader, module):
        """Return the failure that the script's own lines end in, or None."""
        try:
            code = self.code(loader)
        except SyntaxError as error:
            show(error.with_traceback(None))
            return ExitCode(1)
        try:
            exec(code, module.__dict__)
        except SystemExit as exit:
            return ended_by(exit.code)
        except TaskCancelled:
            raise
        except BaseException as error:
            error.__traceback__ = error.__traceback__.tb_next  # without us
            show(error)
            return ExitCode(130 if isinstance(error, KeyboardInterrupt) else 1)
        return None

    def code(self, loader):
        if self.script.module is None:
            self.script.module = loader.get_code(MAIN)
        return self.script.module


def ended_by(code):
    """The failure that an exit code is; None for 0."""
    if code is None:
        return None
    if not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    if code & 0xff:
        return ExitCode(code & 0xff)
    return None


def show(error):
    """Print an exception that nothing has handled, as the interpreter does."""
    try:
        sys.excepthook(type(error), error, error.__traceback__)
    except TaskCancelled:
        raise
    except BaseException as other:
        print("Error in sys.excepthook:", file=sys.stderr)
        traceback.print_exception(other)
        print("\nOriginal exception was:", file=sys.stderr)
        traceback.print_exception(error)


def end_main_thread():
    """As the interpreter does before it waits for other threads, which may wait for that."""
    main = threading.main_thread()
    if hasattr(main, "_handle"):  # from Python 3.13 on
        main._handle._set_done()
    else:
        main._tstate_lock.release()
        main._stop()


def revive_main_thread():
    main = threading.main_thread()
    if main.is_alive():
        return
    if hasattr(main, "_handle"):
        main._handle = _thread._make_thread_handle(main.ident)
    else:
        main._is_stopped = False
        main._set_tstate_lock()


def end_threads(before):
    """Wait for the script's threads but for daemons. Those of an executor wait for work
    until it is shut down, which the interpreter does at its exit."""
    while True:
        left = [thread for thread in threading.enumerate()
                if not thread.daemon and thread not in before and thread is not threading.main_thread()]
        if not left:
            return
        for thread in left:
            executor = executor_of(thread)
            if executor is not None:
                executor.shutdown()
            while thread.is_alive():
                thread.join(0.05)  # an interrupt strikes between two waits


def executor_of(thread):
    """The executor of concurrent.futures that a thread works for, or None."""
    reference = getattr(thread, "executor_reference", None) or next(iter(getattr(thread, "_args", None) or ()), None)
    executor = reference() if callable(reference) and type(reference).__name__ in ("ReferenceType", "weakref") else None
    return executor if hasattr(executor, "shutdown") else None


def end_libraries(finalizers):
    """What libraries do at the exit of the process, for what the script has left them; finalizers are others'."""
    own = [(info.index, finalizer) for finalizer, info in weakref.finalize._registry.items()
           if info.atexit and finalizer not in finalizers]
    for _, finalizer in sorted(own, reverse=True):
        finalizer()
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        util._exit_function()
        util._exiting = False
    logging = sys.modules.get("logging")
    if logging is not None:
        for handler in [reference() for reference in reversed(logging._handlerList)]:
            if handler is not None:
                handler.flush()
