"""For how long a daemon is looked for that goes away more than once while a call waits."""

import asyncio
import contextlib
import json
import math
import os
import socket
import tempfile
import threading
import unittest
from unittest import mock

from cpu_load_balancer import AsyncEngine, ConnectionLostError, CPULoadBalancerError, Engine, Task, link
from fake import accepted_line, result_line

SECONDS = 60
TASK = Task.create("/x.py")
GONE, LOST, DRAINING, FULL = (CPULoadBalancerError("it is so", code) for code in ("no_daemon", "connection_lost", "draining", "queue_full"))


class Clock:
    """Goes on when it is told to, and for who sleeps."""

    def __init__(self, test):
        self.now = 1000.0
        patch = mock.patch.object(link, "time", self)
        patch.start()
        test.addCleanup(patch.stop)

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


class Flapping:
    """A daemon that loses whoever waits, so often, each time after so many seconds, and answers who comes then."""

    def __init__(self, test, clock, losses, seconds):
        folder = tempfile.TemporaryDirectory(prefix="cpulb-test-")
        test.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "s")
        self.read = threading.Semaphore(0)  # by who has an event, and so has heard it
        self._clock, self._losses, self._seconds = clock, losses, seconds
        self._cursor = 0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen()
        thread = threading.Thread(target=self._accept)
        thread.start()
        test.addCleanup(thread.join)
        test.addCleanup(self._listener.close)
        test.addCleanup(self._listener.shutdown, socket.SHUT_RDWR)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                with self._listener.accept()[0] as connection, connection.makefile("rb") as lines, contextlib.suppress(OSError):
                    connection.settimeout(SECONDS)
                    head = lines.readline()
                    while lines.readline() not in (b"\r\n", b""):
                        pass
                    self._serve(connection, head.decode(), lines)

    def _serve(self, connection, head, lines):
        if head.startswith("POST /v1/stream"):
            connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
            for line in lines:
                command = json.loads(line)
                if command["op"] == "cancel" or self._is_lost():
                    return
                task_id = command.get("task_id") or command["task"]["task_id"]
                connection.sendall(accepted_line(task_id) + result_line(task_id))
        elif "/result?" in head:
            self._poll(connection, "timeout=1.0" in head)
        else:
            self._follow(connection, "/batches/" in head)

    def _poll(self, connection, briefly):
        """A call that waits for long hears nothing before the end."""
        if briefly and self._losses < math.inf:
            answer(connection, "202 Accepted", b'{"status":"running"}')
        elif not self._is_lost():
            answer(connection, "200 OK", result_of(TASK.task_id))

    def _follow(self, connection, of_batch):
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        if self._losses == math.inf:
            self._is_lost()
            return
        self._cursor += 1
        line = json.dumps({"event": "log", "task_id": TASK.task_id, "cursor": f"1.{self._cursor}"}).encode() + b"\n"
        chunk(connection, result_of(Task.create("/y.py").task_id) + b"\n" if of_batch else line)
        if not self.read.acquire(timeout=SECONDS) or self._is_lost():
            return
        chunk(connection, result_of(TASK.task_id) + b"\n" if of_batch else result_line(TASK.task_id))
        connection.sendall(b"0\r\n\r\n")

    def _is_lost(self):
        if self._losses == 0:
            return False
        self._losses -= 1
        self._clock.now += self._seconds
        return True


def result_of(task_id):
    return json.dumps(json.loads(result_line(task_id))["result"]).encode()


def answer(connection, status, body):
    connection.sendall(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(body), body))


def chunk(connection, text):
    connection.sendall(b"%x\r\n%s\r\n" % (len(text), text))


def calls(engine, daemon):
    """Return what each call waits for, as what does it."""
    def read(items):
        for item in items:
            daemon.read.release()
        return item
    return {
        "run_task": lambda: engine.run_task(TASK, None),
        "submit_task": lambda: engine.submit_task(TASK),
        "get_result": lambda: engine.get_result(TASK.task_id, None),
        "events": lambda: read(engine.events(TASK.task_id)),
        "batch_results": lambda: read(engine.batch_results(TASK.task_id)),
        "as_completed": lambda: list(engine.as_completed([TASK.task_id])),
        "map": lambda: list(engine.map(lambda _: TASK, [0])),
    }


def coroutines(engine, daemon):
    """Return the same of an AsyncEngine."""
    async def read(items):
        async for item in items:
            daemon.read.release()
        return item

    async def every(items):
        return [item async for item in items]
    return {
        "run_task": lambda: engine.run_task(TASK, None),
        "submit_task": lambda: engine.submit_task(TASK),
        "get_result": lambda: engine.get_result(TASK.task_id, None),
        "events": lambda: read(engine.events(TASK.task_id)),
        "batch_results": lambda: read(engine.batch_results(TASK.task_id)),
        "as_completed": lambda: every(engine.as_completed([TASK.task_id])),
        "map": lambda: every(engine.map(lambda _: TASK, [0])),
    }


class Outages(unittest.TestCase):
    def setUp(self):
        self.clock = Clock(self)
        self.link = link.Link("/s", 60.0)
        self.link.met = True

    def test_call_that_outlives_a_restart_is_as_patient_at_the_next(self):
        for name in calls(None, None):
            with self.subTest(name):
                daemon = Flapping(self, self.clock, 3, 3600.0)
                with Engine(daemon.path) as engine:
                    self.assertTrue(calls(engine, daemon)[name]())

    def test_coroutine_that_outlives_a_restart_is_as_patient_at_the_next(self):
        async def one(name):
            daemon = Flapping(self, self.clock, 3, 3600.0)
            async with AsyncEngine(daemon.path) as engine:
                self.assertTrue(await asyncio.wait_for(coroutines(engine, daemon)[name](), SECONDS))
        for name in coroutines(None, None):
            with self.subTest(name):
                asyncio.run(one(name))

    def test_daemon_that_dies_whenever_it_is_asked_is_not_waited_for_without_end(self):
        for name in calls(None, None):
            with self.subTest(name):
                daemon = Flapping(self, self.clock, math.inf, 0.3)
                with Engine(daemon.path, 1.5) as engine:
                    self.assertRaises(ConnectionLostError, calls(engine, daemon)[name])

    def test_daemon_that_dies_whenever_it_is_asked_is_not_waited_for_without_end_by_coroutines(self):
        async def one(name):
            daemon = Flapping(self, self.clock, math.inf, 0.3)
            async with AsyncEngine(daemon.path, 1.5) as engine:
                with self.assertRaises(ConnectionLostError):
                    await asyncio.wait_for(coroutines(engine, daemon)[name](), SECONDS)
        for name in coroutines(None, None):
            with self.subTest(name):
                asyncio.run(one(name))

    def lasts(self, retry, *errors):
        """Return for how long it is tried again, with these errors in turn."""
        began = self.clock.now
        with self.assertRaises(CPULoadBalancerError):
            while True:
                for error in errors:
                    retry.wait(error)
        return self.clock.now - began

    def test_outage_has_a_patience_of_its_own_once_the_daemon_was_there_for_a_second(self):
        retry = self.link.retry()
        for _ in range(10):
            retry.wait(LOST)
            self.clock.now += 50
            retry.wait(GONE)
            self.link.heard()
            self.clock.now += 1
        self.assertAlmostEqual(self.lasts(retry, LOST, GONE), 60.0)

    def test_outage_goes_on_when_the_daemon_dies_within_a_second(self):
        retry = self.link.retry()
        began = self.clock.now
        with self.assertRaises(CPULoadBalancerError):
            while True:
                retry.wait(LOST)
                self.link.heard()
                self.clock.now += 0.9
        self.assertLess(self.clock.now - began, 62)

    def test_daemon_that_drains_before_it_goes_is_gone_since_then(self):
        self.link.heard()
        self.clock.now += 100
        retry = self.link.retry()
        retry.wait(DRAINING)
        self.clock.now += 40
        self.assertAlmostEqual(self.lasts(retry, GONE), 20.0)

    def test_call_is_tried_again_no_longer_than_it_may_take(self):
        self.assertAlmostEqual(self.lasts(self.link.retry(self.clock.now + 7), GONE), 7.0)
        self.assertAlmostEqual(self.lasts(self.link.retry(most=5.0), GONE), 5.0)

    def test_who_looks_in_vain_for_room_has_not_lost_the_daemon(self):
        retry = self.link.retry(passing=link.ROOM)
        for _ in range(100):
            retry.wait(FULL)
        self.assertGreaterEqual(self.lasts(retry, GONE), 60.0 - link.LONGEST_FULL_PAUSE)


if __name__ == "__main__":
    unittest.main()
