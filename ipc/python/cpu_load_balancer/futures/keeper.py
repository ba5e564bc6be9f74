"""Keeper: the thread of an Executor that reads results and does what is due."""

from __future__ import annotations

import functools
import logging
import select
import socket
import struct
import sys
import threading
import time
from concurrent.futures.process import BrokenProcessPool
from typing import Callable, Dict, List, Set

from . import wire
from .call import Call
from .carrier import Carrier
from .door import Arrival, Door
from .errors import WorkerLostError
from .pause import Pause
from .pool import Pool
from .stops import STOP_SECONDS, Stops
from .tasks import SHORTAGE, Ended, Tasks

_HELD_SECONDS = 0.005  # calls behind one that has run for so long are given back
_MOST_FAILURES = 3  # tasks in a row that ended before they could take calls
_MEND_SECONDS = 1.0  # so often it is looked whether an interrupt has left a connection to nobody
_SHORT_SECONDS = 0.2  # nobody is let in, and no task started, for so long after there was no descriptor, thread or daemon for it
_LONGEST_SECONDS = 3600.0  # of a wait; epoll takes no more than some days
_NUMBER = struct.Struct("<Q")
_log = logging.getLogger("concurrent.futures")


class Keeper:
    """What follows is this thread's alone."""

    def __init__(self, pool: Pool, door: Door, tasks: Tasks, close: Callable[[], None]) -> None:
        self._pool, self._door, self._tasks, self._close = pool, door, tasks, close
        self._stops = Stops(tasks)
        self.broken = ""
        self._handlers: Dict[int, Callable[[int], None]] = {}
        self._arriving: Dict[int, Dict[str, Arrival]] = {}  # carriers of which not all connections are there
        self._suspects: Dict[int, Call] = {}  # that ran when their worker died, until it is known how that ended
        self._parted: Set[int] = set()  # carriers that took calls and do not any more, and whose tasks have not ended
        self._failures = 0
        self._short_until = 0.0  # see _SHORT_SECONDS
        self._pause = Pause()  # before tasks are submitted again for which the daemon had no room
        self.thread = threading.Thread(target=self._run, name="cpulb futures keeper")
        self.over = threading.Event()
        self._watch(door.descriptor, lambda events: self._open_door())
        self._watch(pool.bell.descriptor, lambda events: pool.bell.hush())

    def _run(self) -> None:
        self._pool.callbacks.begin()
        try:
            while not self._is_over():
                for descriptor, events in self._pool.poll.poll(self._wait_seconds()):
                    handler = self._handlers.get(descriptor)
                    if handler is not None:
                        handler(events)
                self._look()
        except BaseException as error:
            self._break(f"the executor's thread has failed: {error!r}")
            raise
        finally:
            try:
                self._finish()
            finally:
                self.over.set()

    def end(self, at_once: bool) -> None:
        """The interpreter ends."""
        if at_once:
            self._pool.kill()
        else:
            self._pool.refuse(RuntimeError("cannot schedule new futures after interpreter shutdown"))

    def forget(self) -> None:
        """This is a forked process, and the executor its parent's."""
        self._pool.forget()

    def is_waiting_for_caller(self) -> bool:
        """Whether the keeper's end waits for the calling thread, which can't wait for that then: it is the keeper, and so a done
        callback, or it pickles what a call is given, or unpickles its result, and code of the program is called for that."""
        here = threading.get_ident()
        carriers = list(self._pool.carriers.values())
        return here == self.thread.ident or any(here in (carrier.feeding, carrier.receiver) for carrier in carriers)

    def _is_over(self) -> bool:
        return self._pool.killed or not self._suspects and self._pool.is_over()

    def _watch(self, descriptor: int, handler: Callable[[int], None]) -> None:
        self._handlers[descriptor] = handler
        self._pool.poll.register(descriptor, select.EPOLLIN)

    def _unwatch(self, connection: socket.socket) -> None:
        self._handlers.pop(connection.fileno(), None)
        self._pool.unwatch(connection)

    def _wait_seconds(self) -> float:
        """Return for how long nothing is due; -1: for ever."""
        pool = self._pool
        pool.alert, pool.looks_at = False, float("inf")  # before the look: who gives a call meanwhile rings
        due: List[float] = [time.monotonic() + _MEND_SECONDS] if pool.carriers else []
        for carrier in pool.carriers.values():
            if carrier.dead:
                continue
            due.append(carrier.timed_call()[1])
            if len(carrier.outstanding) > 1 and not carrier.asked:
                pool.alert = True
                due.append(carrier.moved + _HELD_SECONDS)
            due.extend(looked + STOP_SECONDS for looked in carrier.stopping.values())
        due.extend(until for until in (self._short_until, self._pause.until) if until)
        if not due:
            return -1
        pool.looks_at = min(due)
        return min(max(0.0, pool.looks_at - time.monotonic()), _LONGEST_SECONDS)

    def _look(self) -> None:
        """Do what is due, and what other threads want."""
        pool = self._pool
        pool.callbacks.call_all()
        while self._door.arrived:
            arrival = self._door.arrived.popleft()
            self._guard(functools.partial(self._arrive, arrival), arrival.close)
        while self._tasks.ended:
            self._ended(self._tasks.ended.popleft())
        while pool.stops:
            self._stops.begin(*pool.stops.popleft())
        now = time.monotonic()
        for carrier in [carrier for carrier in pool.carriers.values() if not carrier.dead]:
            self._guard(functools.partial(self._look_at, carrier, now), functools.partial(self._fail, carrier))
        if now >= self._short_until:
            self._start_tasks()

    def _start_tasks(self) -> None:
        pool = self._pool
        if self._short_until:
            self._short_until = 0.0
            pool.poll.modify(self._door.descriptor, select.EPOLLIN)
        if not self._pause.is_over():
            return
        with pool.lock:
            if not self.broken:
                pool.is_to_start_locked()
            starts, pool.to_start = pool.to_start, 0
        for started in range(starts):
            try:
                self._tasks.start()
            except SHORTAGE:
                with pool.lock:
                    pool.to_start += starts - started
                self._run_short()
                return

    def _open_door(self) -> None:
        if not self._door.open():
            self._run_short()

    def _run_short(self) -> None:
        """There is no descriptor left, no thread, or no daemon: wait until there is."""
        self._short_until = time.monotonic() + _SHORT_SECONDS
        self._pool.poll.modify(self._door.descriptor, 0)  # it stays readable meanwhile

    def _guard(self, work: Callable[[], None], fail: Callable[[], None]) -> None:
        """Have what goes wrong with one connection cost that one."""
        try:
            work()
        except Exception:
            _log.exception("a worker's connection is given up")
            fail()

    def _look_at(self, carrier: Carrier, now: float) -> None:
        if (carrier.unwatched or carrier.incoming.is_left()) and carrier.reading.acquire(False):
            try:
                carrier.mend()
            finally:
                carrier.reading.release()
            self._pool.feed(carrier)
        if len(carrier.outstanding) > 1 and not carrier.asked and now >= carrier.moved + _HELD_SECONDS:
            carrier.asked = True
            carrier.order(wire.GIVE_BACK)
        self._stops.look_at(carrier, now)

    # Carriers come and go.

    def _arrive(self, arrival: Arrival) -> None:
        """A worker has connected, or could not be prepared."""
        here = "%d.%d" % sys.version_info[:2]
        if arrival.failure:
            _log.critical("Exception in initializer:\n%s", arrival.failure)
            self._break("the worker's initializer, or the main module, failed:\n" + arrival.failure)
        elif arrival.version != here:
            arrival.close()
            self._break(f"the workers run Python {arrival.version} and this is {here}: pickles of one are not for the other")
        elif arrival.connection is not None and arrival.what != "prepare":
            if self._has_served(arrival.number):
                self._turn_away(arrival)
                return
            parts = self._arriving.setdefault(arrival.number, {})
            if arrival.what in parts:  # of the task before a restart of the daemon
                parts[arrival.what].close()
            parts[arrival.what] = arrival
            if len(parts) == 2 and "calls" in parts and "control" in parts:
                del self._arriving[arrival.number]
                self._begin(parts["calls"], parts["control"])

    def _has_served(self, number: int) -> bool:
        """Whether a carrier of that number has been here. Then the daemon has been started again, and has been sent the task
        again by who waits for it; it is replaced already."""
        return number in self._pool.carriers or number in self._parted

    def _turn_away(self, arrival: Arrival) -> None:
        arrival.close()
        carrier = self._pool.carriers.get(arrival.number)
        if carrier is not None and not carrier.dead:
            self._part(carrier)
        suspect = self._suspects.pop(arrival.number, None)
        if suspect is not None:
            self._lose(suspect, arrival.number, "the daemon ended, and has been started again")

    def _lose(self, suspect: Call, number: int, reason: str, task_id: str = "") -> None:
        task = task_id or self._tasks.name(number)
        suspect.fail(WorkerLostError(f"the worker died while it ran {suspect.name()} (task {task}): {reason}"))

    def _begin(self, calls: Arrival, control: Arrival) -> None:
        assert calls.connection is not None and control.connection is not None
        pool = self._pool
        carrier = Carrier(pool, calls.number, calls.pid)
        outbox, calls.outbox = calls.outbox, -1
        descriptors = calls.connection.fileno(), control.connection.fileno()
        fail = functools.partial(self._fail, carrier)
        try:
            carrier.begin(calls.connection, control.connection, outbox)
            self._watch(descriptors[0], lambda events: self._guard(lambda: self._results(carrier, events), fail))
            self._watch(descriptors[1], lambda events: self._guard(lambda: self._answers(carrier), fail))
        except Exception as error:
            for connection in (calls.connection, control.connection):
                self._unwatch(connection)
            carrier.close()  # its task ends without a reason, and is replaced
            if not isinstance(error, SHORTAGE):
                raise
            return
        carrier.feeding = threading.get_ident()
        self._failures = 0
        self._pause.end()
        with pool.lock:
            pool.starting -= 1
            pool.carriers[calls.number] = carrier
        self._guard(carrier.feed, fail)

    def _ended(self, ended: Ended) -> None:
        """A carrier's task has ended. If it took calls it has been parted from already, or is now."""
        pool = self._pool
        carrier = pool.carriers.get(ended.number)
        if carrier is not None and not carrier.dead:
            self._part(carrier)
        suspect = self._suspects.pop(ended.number, None)
        if suspect is not None:
            self._lose(suspect, ended.number, ended.reason or "its task has ended", ended.task_id)
        if carrier is None and suspect is None and ended.number not in self._parted:
            self._failed_to_start(ended)
        self._parted.discard(ended.number)

    def _failed_to_start(self, ended: Ended) -> None:
        for arrival in self._arriving.pop(ended.number, {}).values():
            arrival.close()
        with self._pool.lock:
            self._pool.starting -= 1
        if ended.full:
            self._pause.refused()
        elif ended.passes or not ended.reason:  # without a reason it was turned away here
            self._run_short()
        else:
            self._failures += 1
        if not self.broken and not self._pool.killed and (ended.final or self._failures >= _MOST_FAILURES):
            self._break(f"no worker could begin to take calls: {ended.reason or 'its task has ended'}")

    def _part(self, carrier: Carrier) -> None:
        """A carrier takes no more calls: its turn is over, it has died, or nobody waits for its task any more, while its
        worker may go on. What it had begun and not ended is suspect."""
        pool = self._pool
        assert carrier.calls is not None and carrier.control is not None
        carrier.retired = True  # and dead when its connections are needed no more: who feeds it closes them then
        carrier.hang_up()  # before reading is waited for: who has locked it may sleep for as long as a call runs
        with carrier.reading:
            for connection in (carrier.calls, carrier.control):
                self._unwatch(connection)
            number = carrier.read_last()
        if carrier.torn:
            for call in list(carrier.outstanding.values()):
                call.fail(WorkerLostError(f"the result of {call.name()} could not be read, or an interrupt came, and it may be lost"))
        with pool.lock:
            carrier.dead = True
            if carrier.resting:
                pool.idle.remove(carrier)
            suspect = carrier.outstanding.pop(number, None)
            if not carrier.feeding:  # else who feeds it does
                pool.reclaim_locked(carrier)
        self._parted.add(carrier.number)
        if suspect is not None and not suspect.done():  # else it was stopped
            self._suspects[carrier.number] = suspect
        carrier.close()
        pool.feed_idle()

    def _fail(self, carrier: Carrier) -> None:
        """What a carrier says can't be understood."""
        if not carrier.dead:
            carrier.torn = True
            self._part(carrier)

    def _break(self, why: str) -> None:
        """No call can be run any more."""
        self.broken = self.broken or why
        with self._pool.lock:
            self._pool.refusal = BrokenProcessPool(self.broken)
        for call in [*self._pool.all_calls(), *self._suspects.values()]:
            call.fail(BrokenProcessPool(self.broken))
        self._suspects.clear()
        with self._pool.lock:
            for carrier in self._pool.carriers.values():
                carrier.outstanding.clear()

    def _finish(self) -> None:
        pool = self._pool
        if pool.killed:
            for call in [*pool.all_calls(), *self._suspects.values()]:
                call.cancel()
        pool.callbacks.call_all()
        self._door.close()
        with pool.lock:
            carriers = list(pool.carriers.values())
            known = {*pool.carriers, *self._parted}
        for carrier in carriers:
            if not carrier.dead:  # else it has, and who feeds it may have closed it
                carrier.hang_up()
            with pool.lock:
                carrier.dead = True
            carrier.close()
        for parts in self._arriving.values():
            for arrival in parts.values():
                arrival.close()
        self._tasks.close(set() if pool.killed else known)
        self._handlers.clear()  # they refer to this object
        self._close()
        pool.callbacks.end()
        pool.close()

    # Results.

    def _results(self, carrier: Carrier, events: int) -> None:
        """Its connection for calls can be read, or takes more."""
        pool = self._pool
        if events & select.EPOLLOUT:
            with pool.lock:
                if carrier.feeding or carrier.dead:
                    return
                carrier.feeding = threading.get_ident()
            carrier.feed(rest=True)
        if events & ~select.EPOLLOUT and carrier.reading.acquire(False):  # else another thread reads, and leaves us the end
            try:
                goes_on = carrier.read()
            finally:
                carrier.reading.release()
            if goes_on:
                pool.feed(carrier)
            else:
                self._part(carrier)

    def _answers(self, carrier: Carrier) -> None:
        """Its other connection can be read."""
        try:
            frames = carrier.answers.read()
        except BlockingIOError:
            return
        except (EOFError, OSError):
            self._part(carrier)
            return
        for kind, number, _, payload, _ in frames:
            if kind == wire.GIVEN_BACK:
                self._given_back(carrier, [each for (each,) in _NUMBER.iter_unpack(payload)])
            else:
                carrier.stopping.pop(number, None)
                if kind == wire.RUNNING:
                    self._stops.cancel(carrier, number)
                elif kind == wire.TAKEN:
                    self._given_back(carrier, [number])

    def _given_back(self, carrier: Carrier, numbers: List[int]) -> None:
        pool = self._pool
        with pool.lock:
            calls = [call for call in (carrier.outstanding.pop(number, None) for number in numbers) if call is not None]
            carrier.load -= sum(call.cost for call in calls)
            pool.put_back_locked([call for call in calls if not call.done()])
            if not carrier.outstanding and not carrier.feeding:
                pool.rest_locked(carrier)
        pool.feed_idle()
