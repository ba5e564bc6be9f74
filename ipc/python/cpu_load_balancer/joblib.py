"""A backend for joblib, and so for what computes by it, as scikit-learn does with n_jobs.

    from cpu_load_balancer.joblib import register
    register()

    with joblib.parallel_backend("cpulb"):
        joblib.Parallel(n_jobs=2)(joblib.delayed(work)(x) for x in data)

It takes joblib 1.2 or later. Functions are pickled as joblib's own backends pickle
them, by joblib's cloudpickle: also those without a name, and of a notebook.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import threading
from concurrent.futures import TimeoutError as FuturesTimeoutError
from multiprocessing import TimeoutError as JoblibTimeoutError
from typing import Any, Callable, Dict, Optional, Set, Tuple

import joblib
from joblib._parallel_backends import AutoBatchingMixin, FallbackToBackend, ParallelBackendBase, SafeFunction, SequentialBackend
from joblib.externals import cloudpickle

from .engine import Engine
from .futures import Executor


class Workers:
    """The executors of one backend, by how many jobs they run at a time; kept to the program's end, or close."""

    def __init__(self, name: str, engine: Optional[Engine] = None, pool: Optional[str] = None, bin_dir: Optional[str] = None) -> None:
        self._name = name
        self._where: Dict[str, Any] = {"engine": engine, "pool": pool, "bin_dir": bin_dir}
        self._lock = threading.Lock()
        self._executors: Dict[Any, Executor] = {}

    def executor(self, jobs: int, env: Dict[str, str]) -> Executor:
        """Return the one for so many jobs, whose workers have these variables."""
        key = os.getpid(), jobs, tuple(sorted(env.items()))  # a child that os.fork makes has none of the threads
        with self._lock:
            found = self._executors.get(key)
            if found is None or found.is_closed:
                found = self._executors[key] = Executor(
                    jobs, initializer=_in_worker, initargs=(self._name,), env=env, dumps=cloudpickle.dumps, **self._where)
            return found

    def close(self) -> None:
        """End all workers when what they run has ended."""
        with self._lock:
            executors, self._executors = list(self._executors.values()), {}
        for executor in executors:
            executor.shutdown()


def _in_worker(name: str) -> None:
    """What names the backend in a worker, and so is nested, does its work itself."""
    joblib.register_parallel_backend(name, SequentialBackend)


class Backend(AutoBatchingMixin, ParallelBackendBase):  # type: ignore[misc]
    """Runs joblib's batches in an Executor. What a batch computes in parallel itself, it does by threads."""

    supports_timeout = True
    supports_inner_max_num_threads = True
    supports_retrieve_callback = True  # from joblib 1.3 on

    def __init__(self, workers: Workers, **options: Any) -> None:
        super().__init__(**options)
        self._all = workers
        self._executor: Optional[Executor] = None
        self._calls: Set[Any] = set()  # that have not ended

    def __reduce__(self) -> Tuple[Any, ...]:
        return SequentialBackend, ()  # in a worker: what is nested there has a backend of its own

    def effective_n_jobs(self, n_jobs: Optional[int]) -> int:
        """Return how many jobs n_jobs stands for."""
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        if n_jobs is None or multiprocessing.current_process().daemon:
            return 1  # below a process of multiprocessing nothing is nested, as with joblib's own backends
        return n_jobs if n_jobs > 0 else max(int(joblib.cpu_count()) + 1 + n_jobs, 1)

    def configure(self, n_jobs: int = 1, parallel: Any = None, **_: Any) -> int:
        """Have workers for so many jobs, and return how many there are."""
        n_jobs = self.effective_n_jobs(n_jobs)
        if n_jobs == 1:
            raise FallbackToBackend(SequentialBackend(nesting_level=self.nesting_level))
        self._executor = self._all.executor(n_jobs, self._prepare_worker_env(n_jobs=n_jobs))
        self.parallel = parallel
        return n_jobs

    def apply_async(self, func: Callable[[], Any], callback: Optional[Callable[[Any], None]] = None) -> Any:
        """Have a batch run; callback is called with its future at its end."""
        assert self._executor is not None  # configure has been called
        call: Any = self._executor.submit(SafeFunction(func))
        call.get = functools.partial(_result, call)
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        if callback is not None:
            call.add_done_callback(callback)
        return call

    submit = apply_async  # its name from joblib 1.5 on

    def retrieve_result_callback(self, call: Any) -> Any:
        """Return what a batch has returned, or raise what it raised."""
        return call.result()

    def terminate(self) -> None:
        """The Parallel call has ended. Its workers stay for the next one."""
        self._executor = None
        self.reset_batch_stats()

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Stop what runs, and forget what waits; the workers can be used at once."""
        for call in list(self._calls):
            call.cancel()


def _result(call: Any, timeout: Optional[float] = None) -> Any:
    try:
        return call.result(timeout)
    except FuturesTimeoutError as error:
        if call.done():
            raise
        raise JoblibTimeoutError from error


def register(name: str = "cpulb", make_default: bool = False, *, engine: Optional[Engine] = None, pool: Optional[str] = None,
             bin_dir: Optional[str] = None) -> Workers:
    """Make the backend known to joblib by that name, and return its workers, which are started when they are needed. The
    last three are as an Executor takes them."""
    workers = Workers(name, engine, pool, bin_dir)
    joblib.register_parallel_backend(name, functools.partial(Backend, workers), make_default=make_default)
    return workers
