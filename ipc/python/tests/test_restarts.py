"""A daemon that is restarted in the midst of each call's work: it shows in nothing but the delay."""

import asyncio
import os
import signal
import threading
import time
import unittest
import uuid
from concurrent.futures import ThreadPoolExecutor

from cpu_load_balancer import AsyncEngine, ConnectionLostError, Engine, SubmissionError, Task, TaskStatus
from cpu_load_balancer.api import call
from restarts import RestartedDaemon

SECONDS = 60
SCRIPT = """
    import os, time
    def main(params, context):
        yield "begun"
        while not os.path.exists(params["gate"]):
            time.sleep(0.005)
        return params["value"]
    """


class Restarts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = RestartedDaemon(cls)
        cls.script = cls.daemon.write("script.py", SCRIPT)

    def setUp(self):
        self.engine = self.daemon.engine()
        self.addCleanup(self.engine.close)
        self.begun = threading.Semaphore(0)
        self.gate = os.path.join(self.daemon.folder, uuid.uuid4().hex)
        self.addCleanup(self.open)

    def open(self):
        """Let the tasks end."""
        with open(self.gate, "w", encoding="utf-8"):
            pass

    def tasks(self):
        """Return three that wait, and one that ends before a restart."""
        return [*map(self.task, range(3)), Task.create(self.script, {"gate": self.script, "value": 3})]

    def heard(self, items):
        """Yield items, and count who has the first one."""
        for number, item in enumerate(items):
            yield item
            if number == 0:
                self.begun.release()

    async def heard_later(self, items):
        """Like heard."""
        begun = self.begun
        async for item in items:
            yield item
            if begun is not None:
                begun.release()
                begun = None

    def task(self, value):
        return Task.create(self.script, {"gate": self.gate, "value": value})

    def calls(self, engine):
        """Return the work of each call that waits, with what it is to give."""
        first, second = (engine.submit_task(self.task(n)) for n in (1, 2))
        batch = engine.submit_batch(self.tasks())
        return {
            "get_result": (lambda: engine.get_result(first, SECONDS).data, 1),
            "get_result of another": (lambda: Engine(self.daemon.socket).get_result(second, SECONDS).data, 2),
            "run_task": (lambda: engine.run_task(self.task(3), SECONDS).data, 3),
            "events": (lambda: told(self.heard(engine.events(first, timeout=SECONDS))), ("result", [])),
            "batch_results": (lambda: sorted(r.data for r in self.heard(engine.batch_results(batch.batch_id, SECONDS))), [0, 1, 2, 3]),
            "map": (lambda: [r.data for r in engine.map(self.task, range(20), in_flight=4, timeout=SECONDS)], list(range(20))),
            "as_completed of tasks": (lambda: sorted(r.data for r in engine.as_completed(map(self.task, range(9)), SECONDS)),
                                      list(range(9))),
            "coroutines": (self.async_calls, (1, 0, 3, [0, 1, 2, 3], list(range(20)), list(range(9)), ("result", []))),
            "as_completed of ids": (lambda: sorted(r.data for r in engine.as_completed(batch, SECONDS)), [0, 1, 2, 3]),
        }

    def async_calls(self):
        """Return what coroutines have that wait for the same."""
        async def main():
            engine = AsyncEngine(self.daemon.socket)
            try:
                first = await engine.submit_task(self.task(1))
                batch = await engine.submit_batch(self.tasks())

                async def data(results):
                    return [r.data async for r in results]
                return await asyncio.gather(
                    engine.get_result(first, SECONDS), engine.get_result(batch.task_ids[0], SECONDS), engine.run_task(self.task(3), SECONDS),
                    data(self.heard_later(engine.batch_results(batch.batch_id, SECONDS))), data(engine.map(self.task, range(20), in_flight=4)),
                    data(engine.as_completed(map(self.task, range(9)))), told_later(self.heard_later(engine.events(first))))
            finally:
                await engine.close()
        one, zero, three, batch, mapped, completed, events = asyncio.run(main())
        return one.data, zero.data, three.data, sorted(batch), mapped, sorted(completed), events

    def go_on_over(self, restart):
        calls = self.calls(self.engine)
        with ThreadPoolExecutor(len(calls)) as threads:
            under_way = {name: threads.submit(call) for name, (call, _) in calls.items()}
            try:
                for _ in range(4):  # two of each kind, from whom the restart is to take something
                    self.assertTrue(self.begun.acquire(timeout=SECONDS))
                self.await_running(2 + 3 + 1 + 4 + 9 + 1 + 3 + 1 + 4 + 9)
                restart()
            finally:
                self.open()
            got = {name: future.result(SECONDS) for name, future in under_way.items()}
        self.assertEqual(got, {name: wanted for name, (_, wanted) in calls.items()})

    def await_running(self, count):
        """Wait until all calls have submitted what they do, and wait."""
        deadline = time.monotonic() + SECONDS
        while (there := len(list(self.engine.list_tasks(("running", "queued"))))) < count:
            self.assertLess(time.monotonic(), deadline, f"{there} of {count} tasks are there")
            time.sleep(0.01)

    def test_killed_daemon_shows_in_no_call(self):
        def restart():
            self.daemon.end(signal.SIGKILL)
            self.daemon.start()
        self.go_on_over(restart)

    def test_stopped_daemon_shows_in_no_call(self):
        def restart():
            self.daemon.end(signal.SIGTERM)
            self.daemon.start()
        self.go_on_over(restart)

    def test_submission_and_calls_wait_for_a_daemon_that_comes_back(self):
        self.open()
        task = self.engine.submit_task(self.task(1))
        self.engine.get_result(task)
        self.daemon.end(signal.SIGKILL)
        with ThreadPoolExecutor(5) as threads:
            submitted = threads.submit(self.engine.submit_task, self.task(2))
            batch = threads.submit(self.engine.submit_batch, [self.task(3)])
            shown = threads.submit(self.engine.get_task, task)
            cancelled = threads.submit(self.engine.cancel, task)
            again = threads.submit(self.engine.rerun_task, task)
            self.daemon.start()
            self.assertEqual(self.engine.get_result(submitted.result(SECONDS), SECONDS).data, 2)
            self.assertEqual([r.data for r in self.engine.as_completed(batch.result(SECONDS), SECONDS)], [3])
            self.assertIs(shown.result(SECONDS).status, TaskStatus.COMPLETED)
            self.assertIs(cancelled.result(SECONDS), TaskStatus.COMPLETED)
            self.assertEqual(self.engine.get_result(again.result(SECONDS), SECONDS).data, 1)

    def test_daemon_that_stays_away_is_told_after_a_while(self):
        with Engine(self.daemon.socket, reconnect=0.05) as engine:
            self.open()
            first = engine.run_task(self.task(1), SECONDS).task_id
            self.daemon.end(signal.SIGKILL)
            try:
                for call in (lambda: engine.submit_task(self.task(1)), lambda: engine.run_task(self.task(1), None),
                             lambda: engine.get_result(uuid.uuid4(), None), lambda: next(engine.events(first)),
                             lambda: next(engine.map(self.task, [1])), lambda: next(engine.as_completed([self.task(1)])),
                             lambda: engine.submit_batch([self.task(1)])):
                    with self.assertRaises(ConnectionLostError) as lost:
                        call()
                    self.assertEqual(lost.exception.code, "no_daemon")
            finally:
                self.daemon.start()

    def test_drain_that_is_ended_delays_a_submission_and_one_that_is_not_refuses_it(self):
        self.open()
        call(self.daemon.socket, "POST", "/v1/drain", SECONDS)
        try:
            with Engine(self.daemon.socket, reconnect=0.05) as impatient:
                for refused in (lambda: impatient.submit_task(self.task(1)), lambda: next(impatient.map(self.task, [1]))):
                    with self.assertRaises(SubmissionError) as draining:
                        refused()
                    self.assertEqual(draining.exception.code, "draining")
            with ThreadPoolExecutor(2) as threads:
                submitted = threads.submit(self.engine.run_task, self.task(2), SECONDS)
                mapped = threads.submit(list, self.engine.map(self.task, [3], timeout=SECONDS))
                call(self.daemon.socket, "POST", "/v1/resume", SECONDS)
                self.assertEqual(submitted.result(SECONDS).data, 2)
                self.assertEqual([r.data for r in mapped.result(SECONDS)], [3])
        finally:
            call(self.daemon.socket, "POST", "/v1/resume", SECONDS)


def told(events):
    """Return of which kind the last event is, and which cursors came twice."""
    events = list(events)
    cursors = [event.cursor for event in events]
    return events[-1].event, [cursor for cursor in set(cursors) if cursors.count(cursor) > 1]


async def told_later(events):
    return told([event async for event in events])


if __name__ == "__main__":
    unittest.main()
