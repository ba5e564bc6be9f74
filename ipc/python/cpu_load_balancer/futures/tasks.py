"""Tasks: an Executor's carriers as tasks of the daemon."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any, Deque, Dict, Iterable, Optional, Set

from .. import CPULoadBalancerError, Engine, SubmissionError, Task
from ..api import call
from ..flow import Flow
from ..link import FULL
from .bell import Bell

_END_SECONDS = 10.0  # all tasks together have so long to end
_LOOK_SECONDS = 1.0  # after that it is looked whether there is a daemon, which has so long to answer
_RESTART = "daemon_lost", "daemon_stopped"  # how tasks end that a restart of the daemon has struck
SHORTAGE = OSError, RuntimeError, MemoryError  # what says that no descriptor, thread or memory is left now


@dataclass
class Ended:
    """How a carrier's task has ended."""

    number: int
    task_id: str
    reason: str  # empty: it was done
    final: bool = False  # another one would end in the same way
    passes: bool = False  # the daemon was being started again, or had no room: another one may begin later
    full: bool = False  # of these: it had no room


class Tasks:
    """Submits the tasks, each waited for on a thread of its own; those that have ended are for the pool's thread."""

    def __init__(self, engine: Engine, bell: Bell, script: str, pool: Optional[str], limits: Dict[str, float]) -> None:
        self.ended: Deque[Ended] = deque()
        self._engine = engine
        self._bell = bell
        self._script, self._pool, self._limits = script, pool, limits
        self._lock = threading.Lock()
        self._count = 0
        self._threads: Dict[int, threading.Thread] = {}
        self._ids: Dict[int, str] = {}

    def start(self) -> None:
        """Submit another one; RuntimeError, MemoryError or OSError when there is nothing left for it now."""
        with self._lock:
            self._count += 1
            number = self._count
            task = Task.create(None, {"carrier": number, "limits": self._limits}, source=self._script, pool=self._pool,
                               on_worker_lost="fail", durable=False, labels={"runs": "cpu_load_balancer.futures"})
            thread = self._threads[number] = threading.Thread(target=self._carry, args=(number, task),
                                                              name=f"cpulb futures carrier {number}", daemon=True)
            self._ids[number] = task.task_id
        try:
            thread.start()
        except BaseException:
            self._forget(number)
            raise

    def _carry(self, number: int, task: Any) -> None:
        final, passes, full, reason = False, False, False, ""
        try:
            result = self._engine.run_task(task, timeout=None)
            if result.error is not None:
                reason = f"{result.error.code}: {result.error.message}"
                passes = result.error.code in _RESTART
                final = not passes and result.error.code != "worker_lost"
            for text in (result.stdout, result.stderr):
                if text:  # of C code and of what calls have started
                    reason += "\n" + text[-2000:]
        except SubmissionError as error:
            passes = full = error.code in FULL
            reason, final = str(error), not passes
            if error.code == "not_allowed":
                reason += "; an Executor's tasks bring their script's text, which takes access { source = true } in the daemon's configuration"
        except CPULoadBalancerError as error:
            reason = str(error)
        except BaseException as error:
            reason, final = repr(error), True
        self.ended.append(Ended(number, task.task_id, reason, final, passes, full))
        self._bell.ring()
        self._forget(number)

    def _forget(self, number: int) -> None:
        with self._lock:
            self._threads.pop(number, None)
            self._ids.pop(number, None)

    def name(self, number: int) -> str:
        """Return the id of a carrier's task."""
        with self._lock:
            return self._ids.get(number, "")

    def cancel(self, number: int) -> None:
        """Have the daemon stop the task of a carrier; RuntimeError or MemoryError when there is no thread for it now."""
        task_id = self.name(number)
        if task_id:
            threading.Thread(target=self._cancel, args=(task_id,), name="cpulb futures stop", daemon=True).start()

    def _cancel(self, task_id: str) -> None:
        try:
            self._engine.cancel_task(task_id)
        except CPULoadBalancerError:
            pass  # it has ended, or the daemon has

    def close(self, connected: Set[int]) -> None:
        """Return when all have ended, after some seconds at most. Those that are not connected may wait yet, and are
        cancelled. Nothing is waited for that a daemon would have to do which does not answer."""
        until = time.monotonic() + _END_SECONDS
        with self._lock:
            threads = list(self._threads.values())
            waiting = [task_id for number, task_id in self._ids.items() if number not in connected]
        flow = Flow(self._engine._link)
        for task_id in waiting:
            flow.watch(task_id)
        flow.cancel()
        flow.close()
        if not _have_ended(threads, time.monotonic() + _LOOK_SECONDS) and self._is_there():
            _have_ended(threads, until)

    def _is_there(self) -> bool:
        try:
            call(self._engine.socket, "GET", "/v1/status", _LOOK_SECONDS)
        except CPULoadBalancerError:
            return False
        return True


def _have_ended(threads: Iterable[threading.Thread], deadline: float) -> bool:
    """Wait until they have ended, or for the deadline, and return whether they have."""
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return not any(thread.is_alive() for thread in threads)
