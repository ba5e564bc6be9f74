"""What happens at the end of a process, for what a plain script leaves in one that goes on."""

import _thread
import atexit
import sys
import threading
import weakref

from cpulb import TaskCancelled
from cpulb.keeper import importing


def _type_of_hook_args():
    """The type of what sys.unraisablehook gets, which has no name in Python."""
    class Raises:
        def __del__(self):
            raise RuntimeError

    found = []
    hook, sys.unraisablehook = sys.unraisablehook, found.append
    Raises()
    sys.unraisablehook = hook
    return type(found[0])


UnraisableHookArgs = _type_of_hook_args()


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

    def hand_over(self):
        """Have the interpreter call them at its own end."""
        for func, args, kwargs in self.calls:
            self.before[0](func, *args, **kwargs)

    def run(self):
        while self.calls:
            func, args, kwargs = self.calls.pop()
            try:
                func(*args, **kwargs)
            except TaskCancelled:
                raise
            except BaseException as error:
                error.__traceback__ = error.__traceback__.tb_next
                sys.unraisablehook(UnraisableHookArgs((type(error), error, error.__traceback__,
                                                       "Exception ignored in atexit callback", func)))


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
                executor.shutdown(wait=False)
            while thread.is_alive():
                thread.join(0.05)  # an interrupt strikes between two waits


def executor_of(thread):
    """The executor of concurrent.futures that a thread works for, or None."""
    reference = getattr(thread, "executor_reference", None) or next(iter(getattr(thread, "_args", None) or ()), None)
    executor = reference() if callable(reference) and type(reference).__name__ in ("ReferenceType", "weakref") else None
    return executor if hasattr(executor, "shutdown") else None


def end_libraries(finalizers):
    """What libraries do at the exit of the process, for what the script has left them; finalizers are others'."""
    finalize = weakref.finalize
    others = [info for finalizer, info in finalize._registry.items() if info.atexit and finalizer in finalizers]
    for info in others:
        info.atexit = False
    finalize._exitfunc()
    finalize._shutdown = False
    for info in others:
        info.atexit = True
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        util._exit_function()
        util._exiting = False
    logging = sys.modules.get("logging")
    if logging is not None:
        for handler in [reference() for reference in reversed(logging._handlerList)]:
            if handler is not None:
                handler.flush()
