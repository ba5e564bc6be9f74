"""AsyncStream: what many coroutines ask, on one connection that is made anew when it is lost."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, Awaitable, Callable, Deque, Dict, FrozenSet, Iterable, List, Optional, Set, Tuple, Union

from .async_connection import Upgraded
from .connection import remaining
from .exceptions import ConnectionLostError, CPULoadBalancerError
from .large import Large, joined
from .link import RESTART, ROOM, Link, Retry
from .mailbox import Mailbox
from .orders import Answer, Found, Line, Orders
from .progress import Waits
from .result import Result
from .room import Room
from .splitter import Part

_KEPT_RESULTS, _KEPT_BYTES = 100_000, 64 << 20
_CANCEL_SECONDS = 5.0

Future = asyncio.Future  # of a Result, or of the id of a task that was accepted


class AsyncStream:
    """Of one event loop. A future that is cancelled is given up, and nothing else is."""

    def __init__(self, link: Link, started: Callable[[], Awaitable[None]]):
        """started is awaited before the daemon is looked for."""
        self._link, self._started = link, started
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._orders = Orders()
        self._ends: Dict[str, Set[Future[Any]]] = {}  # id -> who waits for its Result
        self._accepts: Dict[str, Set[Future[Any]]] = {}  # id -> who waits for whether it is accepted
        self._kept = Mailbox(_KEPT_RESULTS, _KEPT_BYTES)
        self._upgraded: Optional[Upgraded] = None
        self._unsent: List[Line] = []
        self._connector: Optional[asyncio.Task[None]] = None  # makes the next connection
        self._retry: Optional[Retry] = None  # its tries
        self._passing: Dict[str, FrozenSet[str]] = {}  # id -> for which refusals it waits for room; others wait for a restart
        self._room = Room(link.seconds)
        self._trial: Optional[asyncio.TimerHandle] = None  # the next one of what waits for room
        self._put_off: Dict[str, CPULoadBalancerError] = {}  # until the restart
        self._busy: Optional[Retry] = None  # the tries of that
        self._barriers: List[Tuple[int, Future[Any]]] = []  # who waits until the line of this number has been read
        self._cancels: Dict[Future[Any], List[str]] = {}  # such a one -> the tasks that are to be cancelled before
        self.maps: Dict[int, Deque[Tuple[str, Future[Any]]]] = {}  # what each has under way, which is cancelled when the Engine is closed
        self._closed = False
        self.waits = Waits()  # of all that is under way

    def accepted(self, task_id: str, text: Union[str, Large]) -> Future[Any]:
        """Submit the task and return the future of the id that the daemon knows it by, once it has accepted it."""
        is_asked = task_id in self._accepts
        future = self._future(self._accepts, task_id)
        if not is_asked:
            self._send(self._orders.submit(task_id, text, ack=True))
        return future

    def ended(self, task_id: str, text: Union[None, str, Large] = None, passing: FrozenSet[str] = RESTART) -> Future[Any]:
        """Return the future of the task's Result. It is submitted, if its text is given. passing: for which refusals it waits for
        room, if not only for a restart."""
        future = self._future(self._ends, task_id)
        found = None if text is not None else self._kept.take(task_id)
        if found is not None:
            future.set_result(Result.from_json(*found))
        elif task_id not in self._orders:
            if passing is not RESTART:
                self._passing[task_id] = passing
            if self._room and passing is not RESTART:
                self._orders.hold(task_id, text)
                self._room.wait(task_id)
            else:
                self._send(self._orders.watch(task_id) if text is None else self._orders.submit(task_id, text))
        return future

    def _future(self, table: Dict[str, Set[Future[Any]]], task_id: str) -> Future[Any]:
        loop = asyncio.get_running_loop()
        if self._closed:
            raise ConnectionLostError("this AsyncEngine has been closed", "closed")
        if self._loop is not loop:
            if self._loop is not None:
                raise RuntimeError("this AsyncEngine belongs to another event loop: make one in each")
            self._loop = loop
        future: Future[Any] = loop.create_future()
        table.setdefault(task_id, set()).add(future)
        future.add_done_callback(lambda done: self._left(table, task_id, done))
        return future

    def _left(self, table: Dict[str, Set[Future[Any]]], task_id: str, future: Future[Any]) -> None:
        """Nobody needs future any more: it is done, or was cancelled."""
        futures = table.get(task_id)
        if futures is not None:
            futures.discard(future)
            if not futures:
                del table[task_id]
                if future.cancelled() and task_id not in self._ends and task_id not in self._accepts:
                    self._forget(task_id)

    def _forget(self, task_id: str) -> None:
        self._orders.forget(task_id)
        self._passing.pop(task_id, None)
        self._put_off.pop(task_id, None)
        self._taken(task_id)

    def _send(self, line: Line) -> None:
        """Send the line with others that come now."""
        self._unsent.append(line)
        if self._upgraded is None:
            self._connect()
        elif len(self._unsent) == 1:
            assert self._loop is not None
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        if self._upgraded is not None and self._unsent:
            unsent, self._unsent = self._unsent, []
            self._upgraded.write(list(joined(unsent)))

    async def send_now(self, ended: Future[Any], deadline: Optional[float]) -> bool:
        """Send what is to be sent, once there is a connection. Return False when ended is done, or the time over, before that."""
        if self._connector is not None:
            await asyncio.wait({self._connector, ended}, timeout=remaining(deadline), return_when=asyncio.FIRST_COMPLETED)
        self._flush()
        await asyncio.sleep(0)  # what has come meanwhile is read
        return self._upgraded is not None

    def _connect(self) -> None:
        if self._connector is None:
            assert self._loop is not None
            self._connector = self._loop.create_task(self._keep())

    async def _keep(self) -> None:
        """Connect, however often that takes."""
        try:
            while self._upgraded is None and self._is_needed:
                try:
                    await self._started()
                    self._upgraded = await Upgraded.open(self._link.path, self._take, self._lost)
                except CPULoadBalancerError as error:
                    await self._pause(error)
                else:
                    self._begin()
                    return
            self._retry = None
        except CPULoadBalancerError as error:
            self._fail(error)
        finally:
            self._connector = None

    @property
    def _is_needed(self) -> bool:
        return bool(self._ends or self._accepts or self._cancels)

    async def _pause(self, error: CPULoadBalancerError) -> None:
        self._retry = self._retry or self._link.retry()
        self._retry.passing = ROOM if self._passing else RESTART  # what is mapped waits for room
        try:
            pause = self._retry.next(error)
        except CPULoadBalancerError:
            self._retry = None  # who calls later is as patient again
            self.waits.say(None)
            raise
        self.waits.say(error.code)
        await asyncio.sleep(pause)

    def _begin(self) -> None:
        self._link.heard()
        self.waits.say(None)
        for task_id in list(self._orders):
            if task_id not in self._ends and task_id not in self._accepts:
                self._forget(task_id)  # who wants it later asks for it
        self._put_off.clear()
        self._busy = None
        self._room.clear()
        self._unsent = list(self._orders.begin())
        for barrier in self._cancels:
            self._send_cancels(barrier)
        self._flush()

    def _lost(self, upgraded: Upgraded, error: ConnectionLostError) -> None:
        if upgraded is not self._upgraded:
            return
        self._upgraded = None
        self._barriers.clear()
        if self._loop is not None and self._is_needed:
            self._connector = self._loop.create_task(self._again(error))
        else:
            self._retry = None  # nobody looks for it: who calls later is as patient as ever

    async def _again(self, error: ConnectionLostError) -> None:
        try:
            await self._pause(error)
        except CPULoadBalancerError as last:
            self._connector = None
            self._fail(last)
            return
        await self._keep()

    def _take(self, lines: List[Part]) -> None:
        try:
            for line in lines:
                for answer in self._orders.deliver(line):
                    self._answer(answer)
        except ValueError as error:
            self._fail(ConnectionLostError(f"cpulbd sent a line that can't be read: {error}", "bad_answer"))
            self._end()
        while self._barriers and self._barriers[0][0] <= self._orders.refused:
            _, future = self._barriers.pop(0)
            if not future.done():
                future.set_result(None)

    def _answer(self, answer: Answer) -> None:
        task_id = answer.task_id
        if answer.error is not None:
            passing = self._passing.get(task_id)
            if passing is not None and answer.error.code in passing:
                self._wait_for_room(task_id, answer.error)
            elif passing is None and answer.error.code in RESTART:
                self._put_off_until(task_id, answer.error)
            else:
                self._refuse(task_id, answer.error)
        elif answer.found is not None:
            self._busy = None
            self._room.ended()
            self._taken(task_id)
            self._end_of(task_id, answer.found)
        elif answer.known_as is not None:
            self._busy = None
            self._taken(task_id)
            self._is_accepted(task_id, answer.known_as)

    def _wait_for_room(self, task_id: str, error: CPULoadBalancerError) -> None:
        if self._room.refused(task_id, error):
            self.waits.say(error.code)
            self._try_for_room()
            return
        self._refuse_all(list(self._room), error)

    def _refuse_all(self, task_ids: List[str], error: CPULoadBalancerError) -> None:
        self._room.clear()
        self.waits.say(None)
        for task_id in task_ids:
            self._refuse(task_id, type(error)(str(error), error.code))

    def _taken(self, task_id: str) -> None:
        """The daemon has it, or it is given up: there may be room for the next, unless that is given up, too, just now."""
        if self._room:
            self._room.taken(task_id)
            assert self._loop is not None
            self._loop.call_soon(self._try_for_room)
        if not self._room and self._upgraded is not None:
            self.waits.say(None)

    def _try_for_room(self) -> None:
        if self._trial is not None:
            self._trial.cancel()
            self._trial = None
        task_id = self._room.due() if self._upgraded is not None else None  # the next connection begins with all
        if task_id is not None and self._upgraded is not None:
            lines, number = self._orders.trial(task_id)
            for line in lines:
                self._send(line)
            if number:
                assert self._loop is not None
                read: Future[Any] = self._loop.create_future()
                read.add_done_callback(partial(self._read, task_id, self._upgraded))
                self._barriers.append((number, read))
        seconds = self._room.seconds()
        if seconds is not None and self._upgraded is not None:
            assert self._loop is not None
            self._trial = self._loop.call_later(seconds, self._try_for_room)

    def _is_accepted(self, task_id: str, known_as: str) -> None:
        if known_as == task_id:
            self._orders.accepted(task_id)
        elif task_id not in self._ends:
            self._orders.forget(task_id)  # the daemon has it by another name
        for future in list(self._accepts.get(task_id, ())):
            _set(future, known_as)

    def _end_of(self, task_id: str, found: Found) -> None:
        self._orders.forget(task_id)
        self._passing.pop(task_id, None)
        futures = list(self._ends.get(task_id, ()))
        for future in list(self._accepts.get(task_id, ())):
            _set(future, task_id)
        if not futures:
            self._kept.put(task_id, found, len(found[0]))
        for future in futures:
            result = Result.from_json(*found)
            result.task_id = task_id
            _set(future, result)

    def _refuse(self, task_id: str, error: CPULoadBalancerError) -> None:
        self._forget(task_id)
        for table in (self._accepts, self._ends):
            for future in list(table.get(task_id, ())):
                if not future.done():
                    future.set_exception(error)

    def _read(self, task_id: str, upgraded: Upgraded, _: Future[Any]) -> None:
        """The daemon has read the watch that was tried on that connection, and has not refused it."""
        if upgraded is self._upgraded:
            self._taken(task_id)

    def _put_off_until(self, task_id: str, error: CPULoadBalancerError) -> None:
        """Send it again after a while, to the same daemon or the next."""
        self._put_off[task_id] = error
        if len(self._put_off) > 1:
            return
        self._busy = self._busy or self._link.retry()
        try:
            pause = self._busy.next(error)
        except CPULoadBalancerError:
            pause, self._busy = None, None
        assert self._loop is not None
        if pause is None:
            self._loop.call_soon(self._give_up)
        else:
            self._loop.call_later(pause, self._send_again)

    def _give_up(self) -> None:
        for task_id, error in list(self._put_off.items()):
            self._refuse(task_id, error)

    def _send_again(self) -> None:
        again, self._put_off = list(self._put_off), {}
        if self._upgraded is not None:  # else the next connection begins with them
            for task_id in again:
                if task_id in self._orders:
                    self._send(self._orders.again(task_id))

    async def cancel(self, task_ids: Iterable[str]) -> None:
        """Cancel tasks, and wait for some seconds at most until the daemon knows."""
        ids = list(task_ids)
        if not ids or self._loop is None:
            return
        for task_id in ids:
            self._room.taken(task_id)  # it is not to be tried behind that
        barrier: Future[Any] = self._loop.create_future()
        self._cancels[barrier] = ids
        try:
            if self._upgraded is None:
                self._connect()
            else:
                self._send_cancels(barrier)
            await asyncio.wait({barrier}, timeout=_CANCEL_SECONDS)
        finally:
            del self._cancels[barrier]

    def _send_cancels(self, barrier: Future[Any]) -> None:
        lines, number = self._orders.cancel_all(self._cancels[barrier])
        for line in lines:
            self._send(line)
        self._barriers.append((number, barrier))

    def _fail(self, error: CPULoadBalancerError) -> None:
        self._refuse_all([*self._accepts, *self._ends], error)
        for barrier in self._cancels:
            _set(barrier, None)

    def _end(self) -> None:
        upgraded, self._upgraded = self._upgraded, None
        if upgraded is not None:
            upgraded.close()
        if self._trial is not None:
            self._trial.cancel()

    async def close(self) -> None:
        """End the connection; who waits gets ConnectionLostError, and what is under way in a map is cancelled."""
        self._closed = True
        await self.cancel([task_id for tasks in self.maps.values() for task_id, _ in tasks])
        if self._cancels:  # of maps that were left just now
            await asyncio.wait(list(self._cancels), timeout=_CANCEL_SECONDS)
        self._fail(ConnectionLostError("this AsyncEngine has been closed", "closed"))
        connector = self._connector
        if connector is not None:
            connector.cancel()
            await asyncio.wait({connector})
        self._flush()
        self._end()


def _set(future: Future[Any], value: Any) -> None:
    if not future.done():
        future.set_result(value)
