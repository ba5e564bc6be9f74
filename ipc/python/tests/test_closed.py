"""Calls of an Engine that has been closed say so, whether it had connected or not."""

import asyncio
import unittest

from cpu_load_balancer import AsyncEngine, ConnectionLostError, Engine, Task
from cpu_load_balancer import async_engine
from fake import FakeDaemon, result_line
from unittest import mock

ID = "01890000-0000-7000-8000-000000000000"


def calls(engine):
    """Yield all calls of engine, by name."""
    task = Task.create("/x.py")
    yield from {
        "submit_task": lambda: engine.submit_task(task), "run_task": lambda: engine.run_task(task), "get_result": lambda: engine.get_result(ID),
        "map": lambda: engine.map("/x.py", []), "as_completed": lambda: engine.as_completed([]), "submit_batch": lambda: engine.submit_batch([task]),
        "get_batch": lambda: engine.get_batch(ID), "batch_results": lambda: engine.batch_results(ID), "events": lambda: engine.events(ID),
        "cancel": lambda: engine.cancel(ID), "cancel_task": lambda: engine.cancel_task(ID), "cancel_tasks": lambda: engine.cancel_tasks("queued"),
        "get_task": lambda: engine.get_task(ID), "list_tasks": lambda: engine.list_tasks(), "rerun_task": lambda: engine.rerun_task(ID),
        "get_schedules": engine.get_schedules, "get_status": engine.get_status}.items()


def answer(connection, command):
    connection.sendall(result_line(command["task"]["task_id"]))


class Closed(unittest.TestCase):
    def check(self, name, call):
        with self.subTest(name), self.assertRaises(ConnectionLostError) as raised:
            call()
        self.assertEqual((raised.exception.code, "has been closed" in str(raised.exception)), ("closed", True))

    def test_each_call_of_an_engine_says_so(self):
        for connects in (False, True):
            engine = Engine(FakeDaemon(self, answer).path)
            if connects:
                engine.run_task(Task.create("/x.py"))
            engine.close()
            engine.close()
            every = dict(calls(engine))
            public = {name for name in dir(engine) if not name.startswith("_")}
            self.assertEqual(public - set(every), {"close", "private", "daemon_pid", "socket"})
            for name, call in every.items():
                self.check(name, lambda: next(call()) if name == "list_tasks" else call())

    def test_each_call_of_an_asynchronous_engine_says_so(self):
        async def check(connects):
            engine = AsyncEngine(FakeDaemon(self, answer).path)
            if connects:
                await engine.run_task(Task.create("/x.py"))
            await engine.close()
            await engine.close()
            for name, call in calls(engine):
                with self.subTest(name), self.assertRaises(ConnectionLostError) as raised:
                    called = call()
                    await (called.__anext__() if name == "list_tasks" else called)
                self.assertEqual(raised.exception.code, "closed")
            self.assertTrue(engine.socket)
        for connects in (False, True):
            asyncio.run(check(connects))

    def test_private_daemon_of_a_closed_engine_is_not_started(self):
        async def check():
            engine = AsyncEngine.private("/nowhere")
            await engine.close()
            with self.assertRaises(ConnectionLostError) as raised:
                await engine.get_status()
            self.assertEqual(raised.exception.code, "closed")
        with mock.patch.object(async_engine, "PrivateDaemon", side_effect=AssertionError("it is")):
            asyncio.run(check())

    def test_what_is_completed_yields_no_more_once_closed(self):
        with Engine(FakeDaemon(self, answer).path) as engine:
            with engine.as_completed([Task.create("/x.py"), Task.create("/x.py")]) as results:
                next(results)
            self.assertEqual(list(results), [])


if __name__ == "__main__":
    unittest.main()
