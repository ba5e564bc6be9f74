"""What a worker sends for a call, given to the call."""

from __future__ import annotations

import pickle
from concurrent.futures import process
from typing import Any

from . import memory, wire
from .call import Call
from .errors import TransferError
from .interrupts import is_interrupt


def give(call: Call, kind: int, payload: Any, descriptor: int) -> None:
    """End call with that. The descriptor stays open: after an interrupt this is done again."""
    value = error = None
    try:
        if kind == wire.UNREADABLE:
            error = _not_understood(payload)
        else:
            value = pickle.loads(payload) if descriptor == -1 else memory.decode(payload, descriptor)
            if kind == wire.RAISED:
                error = _raised(*value)
    except BaseException as problem:
        if is_interrupt(problem):
            raise
        error = _unreadable("the call's result can't be unpickled", problem)
    if error is None:
        call.complete(value)
    else:
        call.fail(error)


def _raised(data: bytes, words: str, trace: str) -> BaseException:
    """Return what a call raised."""
    error: BaseException
    try:
        error = pickle.loads(data)
        if not isinstance(error, BaseException):
            raise TypeError("it is unpickled as something else")
    except BaseException as problem:
        if is_interrupt(problem):
            raise
        error = _unreadable(f"the call raised {words}, which can't be unpickled", problem)
    error.__cause__ = _remote(trace)
    return error


def _unreadable(what: str, problem: BaseException) -> BaseException:
    try:
        error = TransferError(f"{what}: {problem!r}")
    except Exception:  # what belongs to a result may do anything
        error = TransferError(f"{what}: {type(problem).__name__}")
    error.__cause__ = problem
    return error


def _not_understood(text: bytes) -> BaseException:
    error = TransferError("the call's function or arguments can't be unpickled in the worker")
    error.__cause__ = _remote(text.decode("utf-8", "replace"))
    return error


def _remote(text: str) -> BaseException:
    """Return the cause that shows a worker's traceback, as ProcessPoolExecutor has it."""
    remote: Any = process._RemoteTraceback
    shown: BaseException = remote(f'\n"""\n{text}"""')
    return shown
