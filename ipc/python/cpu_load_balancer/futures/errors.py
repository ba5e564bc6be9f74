"""What a call can fail with beside its own exceptions."""

from __future__ import annotations

from concurrent.futures import TimeoutError as FuturesTimeoutError
from concurrent.futures.process import BrokenProcessPool


class WorkerLostError(BrokenProcessPool):
    """The worker died while it ran this call, and no other call fails of it: the executor goes on. It is a
    BrokenProcessPool, so that what handles that handles this."""


class TransferError(BrokenProcessPool):
    """The call's function or arguments could not be unpickled in the worker, or its result could not here. The executor
    goes on."""


class CallTimeoutError(FuturesTimeoutError):
    """The call has run for longer than it may, and has been stopped."""


class VersionError(RuntimeError):
    """The workers' Python is of another minor version than this one: what one pickles, the other may not understand."""
