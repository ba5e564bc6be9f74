"""CPython's own tests of concurrent.futures, against our Executor: make test-futures.

They come from Debian's libpython3.11-testsuite and are run as they are, but for the
executor's class: where they name ProcessPoolExecutor, also in programs that they
start, they get ours. LEFT_OUT has the tests that are not run, each with its reason.
"""

import os
import sys
import unittest
from concurrent import futures
from unittest import mock

from cpu_load_balancer.futures import Executor

try:
    from test import test_concurrent_futures as standard
except ImportError:
    raise unittest.SkipTest("CPython's tests are not installed; .ci/setup futures does that") from None

_PROCESSES = "it looks into _processes, the pool's own multiprocessing.Process objects; the daemon has the processes"
_SEMAPHORE = "it passes a semaphore of multiprocessing to a call, which only a fork can"
LEFT_OUT = {
    "test_processes_terminate": _PROCESSES,
    "test_context_manager_shutdown": _PROCESSES,
    "test_del_shutdown": "it waits for the manager's thread, the processes and the call queue by their private names",
    "test_shutdown_no_wait": "the same",
    "test_max_workers_too_large": "it is for Windows",
    "test_killed_child": _PROCESSES + "; test_futures.py has a worker killed",
    "test_saturation": _SEMAPHORE + ", and counts _processes",
    "test_idle_process_reuse_one": _PROCESSES,
    "test_idle_process_reuse_multiple": _PROCESSES,
    "test_max_tasks_per_child": _PROCESSES + "; test_futures.py has what it promises, and test_futures_books.py the account of it",
    "test_max_tasks_per_child_defaults_to_spawn_context": "there is no multiprocessing context to be looked at",
    "test_max_tasks_early_shutdown": _PROCESSES,
    "test_shutdown_deadlock_pickle": "it waits for the manager's thread by its private name",
}


class OurMixin(standard.ExecutorMixin):
    """In the place of their ProcessPoolSpawnMixin."""

    executor_type = Executor
    ctx = "spawn"


class NoContextMixin(standard.ExecutorMixin):
    """Without a context: the initializer's log comes to this process, as with threads."""

    executor_type = Executor


def ours(name, mixin=OurMixin, *bases):
    """Make their tests of that name a class of this module."""
    theirs = getattr(standard, name)
    made = globals()["Our" + name] = type("Our" + name, (theirs, mixin, *bases, standard.BaseTestCase), {"__module__": __name__})
    for test, why in LEFT_OUT.items():
        if hasattr(made, test):
            setattr(made, test, unittest.skip(why)(lambda self: None))


ours("InitializerMixin")
ours("FailingInitializerMixin", NoContextMixin)
ours("ProcessPoolShutdownTest")
ours("WaitTests")
ours("AsCompletedTests")
ours("ProcessPoolExecutorTest")
ours("ExecutorDeadlockTest")


def run_with_ours(*args, **env):
    """Run a program of theirs with our class."""
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
    text = args[-1].replace("from concurrent.futures import Executor",
                            f"import sys; sys.path.insert(0, {folder!r}); from cpu_load_balancer.futures import Executor")
    return _run(*args[:-1], text, **env, CPULB_BIN=os.environ.get("CPULB_BIN", ""))


_run = standard.assert_python_ok


def setUpModule():
    for patch in (mock.patch.object(futures, "ProcessPoolExecutor", Executor),
                  mock.patch.object(standard, "assert_python_ok", run_with_ours)):
        patch.start()
        unittest.addModuleCleanup(patch.stop)
    standard.setUpModule()


if __name__ == "__main__":
    unittest.main()
