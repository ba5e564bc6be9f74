"""AsyncEngine against a real, private daemon, and one whose every line the test chooses."""

import asyncio
import gc
import itertools
import json
import os
import random
import socket
import tempfile
import unittest
from unittest import mock

from cpu_load_balancer import (AsyncEngine, ConnectionLostError, Engine, ResultTimeoutError, SubmissionError, Task,
                               TaskNotFoundError, TaskStatus, link)
from cpu_load_balancer.async_connection import Upgraded
from fake import FakeDaemon, accepted_line, result_line

BIN = os.environ.get("CPULB_BIN") or os.path.join(os.path.dirname(__file__), "../../../bin")
SECONDS = 60
UNKNOWN = "01890000-0000-7000-8000-000000000000"
SCRIPT = """
import time
def main(params, context):
    context.progress(0.5, "half way")
    while params == "hold" and not context.cancelled:
        time.sleep(0.001)
    return params
"""


class WithDaemon(unittest.IsolatedAsyncioTestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="cpulb-test-")
        cls.addClassCleanup(folder.cleanup)
        cls.script = os.path.join(folder.name, "script.py")
        with open(cls.script, "w", encoding="utf-8") as script:
            script.write(SCRIPT)
        cls.shared = Engine.private(BIN)
        cls.addClassCleanup(cls.shared.close)

    async def asyncSetUp(self):
        asyncio.get_running_loop().slow_callback_duration = SECONDS  # how fast all is is not the question
        self.engine = AsyncEngine(self.shared.socket)
        self.addAsyncCleanup(self.engine.close)

    def task(self, params, **options):
        return Task.create(self.script, params, "io_bound", **options)

    async def test_each_call_does_what_that_of_engine_does(self):
        engine = self.engine
        task_id = await engine.submit_task(self.task(1))
        self.assertEqual((await engine.get_result(task_id, SECONDS)).data, 1)
        self.assertEqual((await engine.get_result(task_id, SECONDS)).data, 1)
        self.assertEqual((await engine.run_task(self.task(2), SECONDS)).data, 2)
        self.assertEqual([e.event async for e in engine.events(task_id)][-2:], ["progress", "result"])
        batch = await engine.submit_batch([self.task(n) for n in range(3)] + [Task.create("/missing.py")])
        self.assertEqual(sorted([r.data async for r in engine.batch_results(batch.batch_id, SECONDS)]), [0, 1, 2])
        self.assertEqual((await engine.get_batch(batch.batch_id))["total"], 3)
        self.assertIs((await engine.get_task(task_id)).status, TaskStatus.COMPLETED)
        self.assertEqual(len([t async for t in engine.list_tasks("completed", batch_id=batch.batch_id)]), 3)
        self.assertEqual((await engine.get_result(await engine.rerun_task(task_id), SECONDS)).data, 1)
        held = await engine.submit_task(self.task("hold", labels={"test": "calls"}))
        self.assertEqual(await engine.cancel_tasks(labels={"test": "calls"}), 1)
        self.assertIs((await engine.get_result(held, SECONDS)).status, TaskStatus.CANCELLED)
        self.assertIs(await engine.cancel(held), TaskStatus.CANCELLED)
        self.assertEqual(await engine.get_schedules(), [])
        self.assertTrue((await engine.get_status())["engine"]["is_running"])

    async def test_what_goes_wrong_is_raised_by_name(self):
        engine = self.engine
        for ask in (engine.get_result, engine.get_task, engine.cancel):
            with self.assertRaises(TaskNotFoundError):
                await ask(UNKNOWN)
        for ask in (engine.submit_task, engine.run_task):
            with self.assertRaises(SubmissionError) as refused:
                await ask(Task.create("/missing.py"))
            self.assertEqual(refused.exception.code, "script_not_found")
            with self.assertRaises(SubmissionError):
                await ask(self.task({1}))
        with self.assertRaises(ConnectionLostError) as lost:
            await AsyncEngine("/nonexistent/s").submit_task(self.task(1))
        self.assertEqual(lost.exception.code, "no_daemon")
        with self.assertRaises(ValueError):
            await engine.cancel_tasks()

    async def test_hundreds_of_coroutines_share_one_connection(self):
        results = await asyncio.gather(*(self.engine.run_task(self.task(n), SECONDS) for n in range(300)))
        self.assertEqual([r.data for r in results], list(range(300)))

    async def test_time_that_is_over_ends_a_wait_and_no_task(self):
        held = self.task("hold")
        with self.assertRaises(ResultTimeoutError):
            await self.engine.run_task(held, 0.05)
        with self.assertRaises(TimeoutError):
            await self.engine.get_result(held.task_id, 0.05)
        results = self.engine.as_completed([held], 0.05)
        with self.assertRaises(ResultTimeoutError):
            await results.__anext__()
        await self.engine.cancel(held.task_id)
        self.assertIs((await self.engine.get_result(held.task_id, SECONDS)).status, TaskStatus.CANCELLED)

    async def test_coroutine_that_is_cancelled_leaves_its_task_and_all_others(self):
        held = self.task("hold")
        waiting = [asyncio.ensure_future(self.engine.run_task(held, SECONDS)) for _ in range(2)]
        other = asyncio.ensure_future(self.engine.get_result(held.task_id, SECONDS))
        while self.shared_status(held) != "running":
            await asyncio.sleep(0.005)
        for one in waiting:
            one.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await one
        self.assertEqual((await self.engine.run_task(self.task(1), SECONDS)).data, 1)
        self.assertFalse(other.done())
        await self.engine.cancel(held.task_id)
        self.assertIs((await other).status, TaskStatus.CANCELLED)

    def shared_status(self, task):
        try:
            return self.shared.get_task(task.task_id).status
        except TaskNotFoundError:
            return None

    async def test_map_and_as_completed_do_what_those_of_engine_do(self):
        async def slowly():
            for n in range(30):
                await asyncio.sleep(0)
                yield n
        for items in (range(30), slowly()):
            results = self.engine.map(self.script, items, in_flight=4, timeout=SECONDS, task_type="io_bound")
            self.assertEqual([r.data async for r in results], list(range(30)))
        ids = [await self.engine.submit_task(self.task(n)) for n in range(5)] + [self.shared.submit_task(self.task(5))]
        results = self.engine.as_completed([*ids, self.task(6), ids[0]], SECONDS)
        self.assertEqual(sorted([r.data async for r in results]), list(range(7)))
        self.assertEqual([r async for r in self.engine.as_completed([])], [])
        unknown = self.engine.as_completed([UNKNOWN, self.task(1)], SECONDS)
        came = []
        for _ in range(2):
            try:
                came.append((await unknown.__anext__()).data)
            except TaskNotFoundError as error:
                came.append(error.task_id)
        self.assertEqual(sorted(map(str, came)), [UNKNOWN, "1"])

    async def test_who_leaves_a_map_has_the_rest_cancelled(self):
        async def close(results):
            await results.__anext__()
            await results.aclose()

        async def leave_by_break(results):
            async for _ in results:
                break

        async def fail(results):
            with self.assertRaises(ZeroDivisionError):
                async for _ in results:
                    1 // 0

        async def take_too_long(results):
            await results.__anext__()
            with self.assertRaises(ResultTimeoutError):
                await results.__anext__()

        async def be_cancelled(results):
            await results.__anext__()
            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(results.__anext__(), 0.05)

        async def close_the_engine(results):
            await results.__anext__()
            await engine.close()
        for leave in (close, leave_by_break, fail, take_too_long, be_cancelled, close_the_engine):
            with self.subTest(leave.__name__):
                engine, made = AsyncEngine(self.shared.socket), []

                def make(params):
                    made.append(self.task(params))
                    return made[-1]
                await leave(engine.map(make, ["first"] + ["hold"] * 99, in_flight=5,
                                       timeout=0.2 if leave is take_too_long else SECONDS))
                await engine.close()
                ended = [await self.engine.get_result(task.task_id, SECONDS) for task in made[1:]]
                self.assertEqual({r.status for r in ended}, {TaskStatus.CANCELLED})
                self.assertLessEqual(len(made), 6)

    async def test_result_is_given_while_an_asynchronous_iterable_has_nothing_yet(self):
        goes_on = asyncio.Event()

        async def items():
            yield 1
            await goes_on.wait()
            yield 2
        results = self.engine.map(self.script, items(), timeout=SECONDS)
        self.assertEqual((await results.__anext__()).data, 1)
        goes_on.set()
        self.assertEqual([r.data async for r in results], [2])

    async def test_engine_belongs_to_its_event_loop(self):
        await self.engine.run_task(self.task(1), SECONDS)

        def elsewhere():
            return asyncio.run(self.engine.run_task(self.task(1), SECONDS))
        with self.assertRaisesRegex(RuntimeError, "another event loop"):
            await asyncio.get_running_loop().run_in_executor(None, elsewhere)

    async def test_closed_engine_says_so_to_who_waits_and_who_comes(self):
        waiting = asyncio.ensure_future(self.engine.run_task(self.task("hold", labels={"test": "closed"}), SECONDS))
        while not list(self.shared.list_tasks("running", {"test": "closed"})):
            await asyncio.sleep(0.005)
        await self.engine.close()
        for call in (waiting, self.engine.run_task(self.task(1))):
            with self.assertRaises(ConnectionLostError) as closed:
                await call
            self.assertEqual(closed.exception.code, "closed")
        self.shared.cancel_tasks(labels={"test": "closed"})


class Private(unittest.TestCase):
    def test_private_daemon_begins_and_ends_with_the_block(self):
        async def main():
            async with AsyncEngine.private(BIN) as engine:
                self.assertTrue((await engine.get_status())["engine"]["is_running"])
                return engine.socket, engine.daemon_pid
        socket, pid = asyncio.run(main())
        self.assertFalse(os.path.exists(os.path.dirname(socket)))
        self.assertRaises(ProcessLookupError, os.kill, pid, 0)

    def test_private_daemon_that_does_not_start_says_why(self):
        async def main():
            await AsyncEngine.private("/nonexistent").run_task(Task.create("/x.py"))
        with self.assertRaisesRegex(Exception, "no program cpulbd in /nonexistent"):
            asyncio.run(main())


class WithFakes(unittest.IsolatedAsyncioTestCase):
    async def test_each_result_comes_once_however_often_the_connection_is_lost(self):
        sent = {}

        def answer(connection, command):
            task = command["task"]
            sent[task["params"]] = sent.get(task["params"], 0) + 1
            if task["params"] % 7 == 3 and sent[task["params"]] == 1:
                connection.shutdown(2)
            else:
                connection.sendall(result_line(task["task_id"], task["params"]))
        engine = AsyncEngine(FakeDaemon(self, answer).path)
        self.addAsyncCleanup(engine.close)
        self.assertEqual([r.data async for r in engine.map("/x.py", range(50), in_flight=5)], list(range(50)))
        tasks = [Task.create("/x.py", n) for n in range(100, 150)]
        self.assertEqual(sorted([r.data async for r in engine.as_completed(tasks)]), list(range(100, 150)))

    async def test_map_that_is_left_while_there_is_no_connection_is_cancelled_on_the_next(self):
        sent, cancelled = set(), set()
        reached = asyncio.Event()
        loop = asyncio.get_running_loop()

        def answer(connection, command):
            if command["op"] == "submit":
                sent.add(command["task"]["task_id"])
                loop.call_soon_threadsafe(reached.set)
                connection.shutdown(2)
            else:
                cancelled.add(command["task_id"])
        daemon = FakeDaemon(self, answer)
        engine = AsyncEngine(daemon.path)
        self.addAsyncCleanup(engine.close)
        results = engine.map("/x.py", range(9))
        coming = asyncio.ensure_future(results.__anext__())
        await reached.wait()
        coming.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await coming
        self.assertLessEqual(sent, cancelled)

    async def test_close_cancels_what_a_map_has_under_way_under_the_id_of_one_that_has_ended(self):
        submitted, cancelled = [], []
        first, same = Task.create("/x.py", 0), Task.create("/x.py", 1)
        later = asyncio.Event()
        loop = asyncio.get_running_loop()

        def answer(connection, command):
            if command["op"] == "cancel":
                cancelled.append(command["task_id"])
                return
            submitted.append(command["task"]["task_id"])
            if len(submitted) == 2:  # both in one write: the map finds the second ended, too, when it takes the next item
                connection.sendall(result_line(first.task_id) + result_line(same.task_id))
            elif len(submitted) == 3:
                loop.call_soon_threadsafe(later.set)
        engine = AsyncEngine(FakeDaemon(self, answer).path)
        self.addAsyncCleanup(engine.close)
        results = engine.map(lambda task: task, [first, same, same], in_flight=2)
        for task in first, same:
            self.assertEqual((await results.__anext__()).task_id, task.task_id)
        await later.wait()
        await engine.close()
        await results.aclose()
        self.assertEqual((submitted, cancelled), ([first.task_id, same.task_id, same.task_id], [same.task_id]))

    @mock.patch.multiple(link, FULL_PAUSE=0.01, LONGEST_FULL_PAUSE=0.01)
    async def test_what_is_refused_for_now_is_sent_again(self):
        sent, number = {}, {}

        def answer(connection, command):
            number[connection] = number.get(connection, 0) + 1
            task = command["task"]
            sent[task["params"]] = sent.get(task["params"], 0) + 1
            if sent[task["params"]] <= 2:
                line = {"event": "rejected", "task_id": task["task_id"], "line": number[connection],
                        "problem": {"code": ("queue_full", "draining")[task["params"] % 2]}}
                connection.sendall(json.dumps(line).encode() + b"\n")
            else:
                connection.sendall(result_line(task["task_id"], task["params"]))
        daemon = FakeDaemon(self, answer)
        engine = AsyncEngine(daemon.path)
        self.addAsyncCleanup(engine.close)
        self.assertEqual([r.data async for r in engine.map("/x.py", range(20), in_flight=6)], list(range(20)))
        self.assertEqual(set(sent.values()), {3})
        self.assertEqual((await engine.run_task(Task.create("/x.py", 21), SECONDS)).data, 21)  # which drains
        with self.assertRaises(SubmissionError) as full:
            await engine.run_task(Task.create("/x.py", 22), SECONDS)
        self.assertEqual(full.exception.code, "queue_full")
        impatient = AsyncEngine(daemon.path, reconnect=0)
        self.addAsyncCleanup(impatient.close)
        with self.assertRaises(SubmissionError) as draining:
            await impatient.run_task(Task.create("/x.py", 23), SECONDS)
        self.assertEqual(draining.exception.code, "draining")

    @mock.patch.multiple(link, FULL_PAUSE=0.01, LONGEST_FULL_PAUSE=0.01)
    async def test_a_connection_that_is_refused_for_now_is_made_again_for_a_map(self):
        daemon = FakeDaemon(self, lambda c, command: c.sendall(result_line(command["task"]["task_id"], command["task"]["params"])), 4)
        engine = AsyncEngine(daemon.path)
        self.addAsyncCleanup(engine.close)
        with self.assertRaises(ConnectionLostError) as full:
            await engine.run_task(Task.create("/x.py", 1), SECONDS)
        self.assertEqual(full.exception.code, "too_many_connections")
        self.assertEqual([r.data async for r in engine.map("/x.py", range(9))], list(range(9)))
        self.assertEqual(daemon.connections, 5)

    async def test_nothing_waits_or_is_kept_whoever_is_cancelled_and_however_often_the_connection_is_lost(self):
        asyncio.get_running_loop().slow_callback_duration = SECONDS
        chance = random.Random(1)
        lines = itertools.count()

        def answer(connection, command):
            if next(lines) % 37 == 36:
                connection.shutdown(2)
                return
            task_id = command["task"]["task_id"] if command["op"] == "submit" else command["task_id"]
            ack = accepted_line(task_id) if command["op"] == "submit" and command.get("ack", True) else b""
            connection.sendall(ack + result_line(task_id, "done"))
        engine = AsyncEngine(FakeDaemon(self, answer).path)
        self.addAsyncCleanup(engine.close)

        async def one(number):
            task = Task.create("/x.py", number)
            if number % 3 == 0:
                return (await engine.get_result(await engine.submit_task(task), SECONDS)).data
            return (await engine.run_task(task, SECONDS)).data
        tasks = [asyncio.ensure_future(one(number)) for number in range(600)]
        for task in tasks:
            if chance.random() < 0.3:
                asyncio.get_running_loop().call_later(chance.random() / 20, task.cancel)
        results = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), SECONDS)
        self.assertEqual({r for r in results if not isinstance(r, asyncio.CancelledError)}, {"done"})
        stream = engine._stream
        self.assertEqual((dict(stream._ends), dict(stream._accepts), stream._passing, stream._put_off, bool(stream._room)), ({}, {}, {}, {}, False))


class Opening(unittest.IsolatedAsyncioTestCase):
    async def test_stream_that_is_given_up_while_it_opens_leaves_no_exception_to_retrieve(self):
        loop, said = asyncio.get_running_loop(), []
        loop.set_exception_handler(lambda _, context: said.append(context))
        with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
            listener.bind(os.path.join(folder, "s"))
            listener.listen()
            listener.setblocking(False)
            opening = asyncio.create_task(Upgraded.open(listener.getsockname(), said.append, lambda *_: None))
            connection, _ = await loop.sock_accept(listener)
            with connection:
                await loop.sock_recv(connection, 1)  # it has asked
                opening.cancel()
                with self.assertRaises(asyncio.CancelledError):
                    await opening
                while await loop.sock_recv(connection, 1 << 16):
                    pass
        await asyncio.sleep(0)
        del opening
        gc.collect()
        self.assertEqual(said, [])



if __name__ == "__main__":
    unittest.main()
