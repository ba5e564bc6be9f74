"""Plain scripts: what `python script.py` would run, as a task of an exclusive worker.

A task whose function is "__main__" runs the file from its first line as the module
__main__, with sys.argv from params. It completes with its exit code, 0; any other is
a failure. At its end happens what happens at the end of a process: its threads are
waited for, what it has registered with atexit is called, its variables go.
"""

import builtins
import gc
import sys
import traceback
import weakref
from types import ModuleType

from cpulb import TaskCancelled
from cpulb.errors import ExitCode, Refusal
from cpulb.exits import AtExit, end_libraries, end_main_thread, end_threads, revive_main_thread
from cpulb.held import _embedpy, threading
from cpulb.loader import Source
from cpulb.streams import flush

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


class Run:
    """One run of a script; called with params."""

    def __init__(self, script, house):
        self.script = script
        self.house = house

    def __call__(self, params):
        self.house.enter_main(self.script, arguments(params))
        if "random" in sys.modules:
            sys.modules["random"].seed()  # as it is in a process of its own
        module = ModuleType(MAIN)
        loader = Source(MAIN, self.script.path)
        module.__dict__.update(__file__=self.script.path, __builtins__=builtins, __loader__=loader, __cached__=None,
                               __annotations__={})
        before = set(threading.enumerate())
        finalizers = set(weakref.finalize._registry)
        sys.modules[MAIN] = module
        exits = AtExit()
        try:
            with exits:
                failure = self.execute(loader, module)
                if not self.house.is_child():
                    self.end(before, exits, finalizers)
        finally:
            if self.house.is_child():
                exits.hand_over()  # its interpreter ends, and does the rest
            else:
                _embedpy.shielded(self.finish, module)
        if failure is not None:
            raise failure
        return {"exit_code": 0}

    def end(self, before, exits, finalizers):
        flush(sys.stdout)
        end_main_thread()
        end_threads(before)
        exits.run()
        end_libraries(finalizers)

    def finish(self, module):
        revive_main_thread()
        module.__dict__.clear()
        self.house.leave_main(self.script)
        gc.collect(1)

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
            if self.house.is_child():
                raise
            return ended_by(exit.code)
        except TaskCancelled:
            raise
        except BaseException as error:
            if self.house.is_child():
                raise
            error.__traceback__ = error.__traceback__.tb_next  # without us
            try:
                show(error)
            except SystemExit as exit:
                return ended_by(exit.code)
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
        if sys.stderr is not None:
            print(code, file=sys.stderr)
        code = 1
    code = code & 0xff if -1 << 63 <= code < 1 << 63 else 0xff
    if code:
        return ExitCode(code)
    return None


def show(error):
    """Print an exception that nothing has handled, as the interpreter does."""
    try:
        sys.excepthook(type(error), error, error.__traceback__)
    except (TaskCancelled, SystemExit):
        raise
    except BaseException as other:
        other.__traceback__ = other.__traceback__.tb_next
        if other.__context__ is error:  # it was raised beside it, and not in a handler of it
            other.__context__ = None
        print("Error in sys.excepthook:", file=sys.stderr)
        traceback.print_exception(other)
        print("\nOriginal exception was:", file=sys.stderr)
        traceback.print_exception(error)
