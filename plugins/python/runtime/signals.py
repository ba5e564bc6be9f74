"""Signals, as the table of process-wide state reads and restores them.

Only Python's main thread may set handlers, so only an exclusive worker's task can.
"""

import _signal
import _thread
import sys

from cpulb.held import _embedpy, threading


HOST = (_signal.SIG_DFL, _signal.SIG_IGN)
NUMBERS = tuple(sorted(n for n in _signal.valid_signals() if n not in (_signal.SIGKILL, _signal.SIGSTOP)))
TIMERS = (_signal.ITIMER_REAL, _signal.ITIMER_VIRTUAL, _signal.ITIMER_PROF)


def mask():
    return frozenset(_signal.pthread_sigmask(_signal.SIG_BLOCK, ()))


def set_mask(value):
    _signal.pthread_sigmask(_signal.SIG_SETMASK, value)


def handlers():
    return tuple(map(_signal.getsignal, NUMBERS))


def set_handlers(value):
    for number, now, wanted in zip(NUMBERS, handlers(), value):
        if now is wanted or wanted is None:
            continue
        _signal.signal(number, wanted)
        if wanted in HOST:  # what Python takes for the default is the host's handler
            _embedpy.return_signal(number)


def wakeup():
    if _thread.get_ident() != threading.main_thread().ident:
        return None  # only the main thread may ask; others do when they import something
    descriptor = _signal.set_wakeup_fd(-1)
    if descriptor != -1:
        _signal.set_wakeup_fd(descriptor)
    return descriptor


def set_wakeup(value):
    _signal.set_wakeup_fd(value)


def timers():
    """Whether each runs: the time that is left changes by itself."""
    return tuple(any(_signal.getitimer(timer)) for timer in TIMERS)


def set_timers(value):
    for timer, runs in zip(TIMERS, value):
        if not runs:
            _signal.setitimer(timer, 0)


def set_faulthandler(on):
    if not on:
        sys.modules["faulthandler"].disable()


def default_interrupt():
    """SIGINT as python has it: KeyboardInterrupt in the main thread."""
    _signal.signal(_signal.SIGINT, _signal.default_int_handler)
