"""Executor: concurrent.futures over a daemon."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import pickle
import sys
import threading
import time
import types
import weakref
from concurrent import futures
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple

from .. import Engine
from . import arguments, memory, wire
from .call import Call
from .door import Door
from .function import Functions
from .keeper import Keeper
from .pool import Options, Pool
from .preparation import preparation
from .private import private_engine
from .source import script
from .tasks import Tasks
from .version import check_version

_TURN = {"seconds": 1.0, "linger": 0.05}  # of a worker of a daemon that others use, too
_open: "weakref.WeakSet[Keeper]" = weakref.WeakSet()  # what is to end before the interpreter does


class Executor(futures.Executor):
    """Runs calls in worker processes of a daemon; takes the place of a ProcessPoolExecutor."""

    def __init__(self, max_workers: Optional[int] = None, mp_context: Any = None, initializer: Optional[Callable[..., object]] = None,
                 initargs: Iterable[Any] = (), *, max_tasks_per_child: Optional[int] = None, engine: Optional[Engine] = None,
                 pool: Optional[str] = None, bin_dir: Optional[str] = None, timeout: Optional[float] = None,
                 env: Optional[Mapping[str, str]] = None, dumps: Callable[..., bytes] = pickle.dumps) -> None:
        """The first five are ProcessPoolExecutor's; mp_context has to be spawn's or forkserver's, as workers are not forked.
        engine: run on that one's daemon, in its pool of that name (None: its first for CPU-bound tasks), instead of a
        private daemon, which bin_dir, CPULB_BIN or PATH has. timeout: for how many seconds each call may run. env: variables
        that the workers have beside this program's. dumps pickles calls and results, with pickle.dumps's arguments:
        cloudpickle.dumps does functions without a name, too."""
        arguments.check(mp_context, initializer, max_tasks_per_child, engine, pool, bin_dir, dumps)
        self._timeout = arguments.seconds(timeout, "timeout")
        self._max_workers = arguments.workers(max_workers, engine)
        options = Options(self._max_workers, dumps, arguments.calls_each(max_tasks_per_child))
        if options.calls_each:
            options.limits["calls"] = options.calls_each
        if engine is not None:
            options.limits.update(_TURN)
        self._functions = Functions(dumps is pickle.dumps)
        self._named = self._functions.named.setdefault(wire.CALL, {}).get
        self._numbers = itertools.count(1).__next__
        prepared = memory.encode(preparation(initializer, arguments.items(initargs, "initargs"), arguments.environment(env), dumps))
        try:
            self._open(options, prepared, engine, pool, bin_dir)
        finally:
            if prepared[1] >= 0:
                os.close(prepared[1])
        self._collected = weakref.finalize(self, self._pool.refuse, RuntimeError("the executor is gone"))
        self._collected.atexit = False

    def _open(self, options: Options, prepared: Tuple[bytes, int], engine: Optional[Engine], pool: Optional[str],
              bin_dir: Optional[str]) -> None:
        """Have a daemon and the thread that serves this executor; what is open when that fails is closed."""
        _register()
        with contextlib.ExitStack() as opened:
            own, close = (engine, _nothing) if engine is not None else private_engine(bin_dir, self._max_workers)
            opened.callback(close)
            check_version(own, pool)
            self._pool: Pool = Pool(options)
            opened.callback(self._pool.close)
            door = Door(self._pool.bell, prepared, os.geteuid() if engine is None else None)
            opened.callback(door.close)
            settings = {"address": door.address, "secret": door.secret.hex(), "alone": engine is None}
            tasks = Tasks(own, self._pool.bell, script(settings), pool, options.limits)
            self._keeper = Keeper(self._pool, door, tasks, close)
            _open.add(self._keeper)
            opened.callback(_open.discard, self._keeper)
            self._keeper.thread.start()
            opened.pop_all()

    @property
    def _broken(self) -> str:
        return self._keeper.broken

    @property
    def is_closed(self) -> bool:
        """Whether it takes no more calls: it has been shut down, or is broken."""
        return self._pool.refusal is not None

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Call:
        """Have fn(*args, **kwargs) called in a worker, and return its future."""
        function = self._named(fn) if type(fn) is types.FunctionType else None
        if function is None:
            function = self._functions.find(fn, wire.CALL)
        call = Call(self._numbers(), wire.CALL, function, args if function.number else (fn, *args), kwargs, self._timeout)
        self._pool.add(call)
        return call

    def map(self, fn: Callable[..., Any], *iterables: Iterable[Any], timeout: Optional[float] = None, chunksize: int = 1,
            buffersize: Optional[int] = None) -> Iterator[Any]:
        """Return what fn returns for the items of iterables, in their order. chunksize: so many are one call. buffersize: no
        more calls than that are submitted ahead of what is taken (None: all, at once). timeout: TimeoutError when a
        result is not there so many seconds after this call."""
        chunksize, buffersize = arguments.ahead(chunksize, buffersize)
        limit = arguments.wait_seconds(timeout, "timeout")
        until = None if limit is None else time.monotonic() + limit
        items = zip(*iterables)
        if chunksize == 1:
            submits = (self.submit(fn, *each) for each in items)
            return _results(submits, until, buffersize)
        submits = (self._submit_chunk(fn, chunk) for chunk in iter(lambda: list(itertools.islice(items, chunksize)), []))
        return itertools.chain.from_iterable(_results(submits, until, buffersize))

    def _submit_chunk(self, fn: Callable[..., Any], chunk: List[Any]) -> Call:
        function = self._functions.find(fn, wire.CHUNK)
        call = Call(self._numbers(), wire.CHUNK, function, (chunk,) if function.number else (fn, chunk), {}, self._timeout)
        self._pool.add(call)
        return call

    def timed(self, seconds: Optional[float]) -> "Executor":
        """Return an executor of the same workers whose calls may run for so long; then they are stopped, and their futures
        raise CallTimeoutError. Shutting down either shuts down both."""
        limit = arguments.seconds(seconds, "seconds")
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other._timeout = limit
        other._whole = self  # type: ignore[attr-defined]  # keeps the workers
        return other

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls, and end when those that there are have ended. wait: return after that. cancel_futures: those
        that have not begun are cancelled. An interrupt that comes meanwhile stops all. A done callback does not wait, nor what pickles or
        unpickles for a call."""
        self._pool.refuse(RuntimeError("cannot schedule new futures after shutdown"), cancel_futures)
        if wait and not self._keeper.is_waiting_for_caller():
            try:
                _await(self._keeper)
            except KeyboardInterrupt:
                self.terminate()
                raise

    def terminate(self) -> None:
        """Take no more calls, and cancel all that there are, also those that run."""
        self._pool.kill()
        if not self._keeper.is_waiting_for_caller():
            _await(self._keeper)

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            self.terminate()
        else:
            self.shutdown()


def _results(submits: Iterator[Call], until: Optional[float], buffersize: Optional[int]) -> Iterator[Any]:
    """Return an iterator of the results, in their order; the first calls are submitted before this returns."""
    waiting = list(itertools.islice(submits, buffersize))
    waiting.reverse()

    def results() -> Iterator[Any]:
        try:
            while waiting:
                call = waiting[-1]
                call.exception(None if until is None else until - time.monotonic())
                del call
                if buffersize is not None:
                    waiting[:0] = itertools.islice(submits, 1)
                yield waiting.pop().result()  # nothing here refers to it then
        finally:
            for call in waiting:
                call.cancel()
    return results()


def _nothing() -> None:
    """A shared Engine is its owner's to close."""


def _at_exit() -> None:
    """The interpreter ends: after an interrupt at once, else when all calls have ended. An interactive one goes on after an
    interrupt, and keeps it."""
    interrupted = getattr(sys, "last_type", None) is KeyboardInterrupt and not hasattr(sys, "ps1")
    keepers = list(_open)
    for keeper in keepers:
        keeper.end(interrupted)
    try:
        for keeper in keepers:
            _await(keeper)
    except KeyboardInterrupt:
        for keeper in keepers:
            keeper.end(at_once=True)
        for keeper in keepers:
            _await(keeper)
        raise


def _await(keeper: Keeper) -> None:
    """Return when it has ended. Its thread is not joined before that: an interrupted join takes a thread for ended up to Python
    3.12 (bpo-45274), and whoever joined it again would not wait."""
    keeper.over.wait()
    keeper.thread.join()


def _in_child() -> None:
    """This process has been forked: it has none of the threads that serve its parent's executors."""
    for keeper in list(_open):
        keeper.forget()
    _open.clear()


@functools.lru_cache(None)
def _register() -> None:
    """Have these called, once there is an executor. In a worker, which may load this for each program anew, there is none,
    and what is registered is never forgotten."""
    os.register_at_fork(after_in_child=_in_child)
    threading._register_atexit(_at_exit)  # type: ignore[attr-defined]  # threads are waited for before atexit's functions are called
