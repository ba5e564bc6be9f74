"""Room, and maps and others that wait for it."""

import asyncio
import json
import os
import tempfile
import unittest
from unittest import mock

from cpu_load_balancer import AsyncEngine, CPULoadBalancerError, Engine, SubmissionError, Task, link
from cpu_load_balancer.room import Room
from fake import FakeDaemon, accepted_line, result_line

BIN = os.environ.get("CPULB_BIN") or os.path.join(os.path.dirname(__file__), "../../../bin")
FULL, DRAINING = (CPULoadBalancerError("there is none", code) for code in ("queue_full", "draining"))


class Line(unittest.TestCase):
    """Decisions, at times of the test's own."""

    def setUp(self):
        self.now = 100.0
        self.room = Room(60.0, lambda: self.now, lambda: 0.5)

    def refuse(self, *task_ids, error=FULL):
        for task_id in task_ids:
            self.assertTrue(self.room.refused(task_id, error))

    def test_one_is_tried_at_a_time_after_pauses_that_grow(self):
        self.refuse("a", "b", "c")
        for pause in (1.0, 1.5, 2.25, 3.375, 5.0, 5.0):
            self.assertEqual(self.room.seconds(), pause)
            self.assertIsNone(self.room.due())
            self.now += pause
            self.assertEqual(self.room.due(), "a")
            self.assertIsNone(self.room.due())
            self.assertIsNone(self.room.seconds())
            self.refuse("a")

    def test_next_is_tried_as_soon_as_one_was_taken(self):
        self.refuse("a", "b", "c")
        self.now += 1
        for task_id in "abc":
            self.assertEqual(self.room.due(), task_id)
            self.room.taken(task_id)
        self.assertFalse(self.room)

    def test_pause_begins_anew_after_one_was_taken(self):
        self.refuse("a", "b")
        self.now += 1
        self.room.due()
        self.refuse("a")
        self.now += 1.5
        self.room.due()
        self.room.taken("a")
        self.room.due()
        self.refuse("b")
        self.assertEqual(self.room.seconds(), 1.0)

    def test_who_comes_later_waits_behind_the_others(self):
        self.refuse("a")
        self.room.wait("b")
        self.now += 1
        self.assertEqual(self.room.due(), "a")
        self.refuse("a")
        self.assertEqual(list(self.room), ["a", "b"])

    def test_end_of_a_task_makes_room_for_one(self):
        self.refuse("a", "b", "c")
        self.room.ended()
        self.assertEqual((self.room.seconds(), self.room.due()), (0.0, "a"))
        self.room.taken("a")
        self.assertIsNone(self.room.due())
        self.room.ended()
        self.assertEqual(self.room.due(), "b")

    def test_places_that_others_take_are_not_tried_for_before_a_pause_has_helped(self):
        self.refuse("a", "b")
        self.room.ended()
        self.room.due()
        self.refuse("a")
        self.room.ended()
        self.assertIsNone(self.room.due())
        self.now += 1
        self.room.taken(self.room.due())
        self.assertEqual(self.room.due(), "b")

    def test_a_daemon_that_is_about_to_go_is_waited_for_as_long_as_one_that_has_gone(self):
        self.refuse("a", error=DRAINING)
        self.now += 59
        self.room.due()
        self.refuse("a", error=DRAINING)
        self.now += 2
        self.room.due()
        self.assertFalse(self.room.refused("a", DRAINING))

    def test_the_next_daemon_may_be_about_to_go_for_as_long(self):
        self.refuse("a", error=DRAINING)
        self.room.clear()
        self.now += 3600
        self.refuse("a", error=DRAINING)

    def test_a_full_queue_is_waited_for_without_end(self):
        for _ in range(1000):
            self.refuse("a")
            self.now += 5
            self.assertEqual(self.room.due(), "a")


class Small:
    """A queue with room for some tasks, which never runs two of them before it has refused one."""

    def __init__(self, test, room):
        self.refused = 0
        self._number, self._waiting, self._room = {}, [], room
        self.daemon = FakeDaemon(test, self._answer)

    def _answer(self, connection, command):
        self._number[connection] = self._number.get(connection, 0) + 1
        if command["op"] == "cancel":
            return
        task_id = command["task"]["task_id"]
        if len(self._waiting) < self._room:
            self._waiting.append((task_id, command["task"]["params"]))
            if command.get("ack", True):
                connection.sendall(accepted_line(task_id))
            return
        self.refused += 1
        line = {"event": "rejected", "task_id": task_id, "line": self._number[connection], "problem": {"code": "queue_full"}}
        connection.sendall(json.dumps(line).encode() + b"\n")
        while self._waiting:
            connection.sendall(result_line(*self._waiting.pop(0)))


class Maps(unittest.TestCase):
    def test_a_map_does_not_flood_a_full_queue(self):
        small = Small(self, 4)
        engine = Engine(small.daemon.path, reconnect=0)
        self.addCleanup(engine.close)
        results = engine.map("/x.py", range(40), in_flight=20, timeout=600)
        with mock.patch.multiple(link, FULL_PAUSE=0.01, LONGEST_FULL_PAUSE=0.01):
            self.assertEqual([next(results).data for _ in range(36)], list(range(36)))
        self.assertLess(small.refused, 40)  # all 16 at first, then one for each four

    def test_a_map_of_an_async_engine_does_not_either(self):
        small = Small(self, 4)

        async def run():
            engine = AsyncEngine(small.daemon.path, reconnect=0)
            results = engine.map("/x.py", range(40), in_flight=20, timeout=600)
            self.assertEqual([(await results.__anext__()).data for _ in range(36)], list(range(36)))
            await results.aclose()
            await engine.close()
        with mock.patch.multiple(link, FULL_PAUSE=0.01, LONGEST_FULL_PAUSE=0.01):
            asyncio.run(run())
        self.assertLess(small.refused, 40)

    def test_what_waits_for_room_is_not_sent_when_its_map_is_left(self):
        sent = []

        def answer(connection, command):
            sent.append((command["op"], command.get("task_id") or command["task"]["task_id"]))
            if command["op"] == "submit":
                line = {"event": "rejected", "line": sum(op == "submit" for op, _ in sent), "problem": {"code": "queue_full"}}
                connection.sendall(json.dumps(line).encode() + b"\n")
        daemon = FakeDaemon(self, answer)

        async def run():
            engine = AsyncEngine(daemon.path, reconnect=0)
            with self.assertRaises(CPULoadBalancerError):
                async for _ in engine.map("/x.py", range(9), timeout=0.2):
                    self.fail("nothing was taken")
            await engine.close()
        asyncio.run(run())
        daemon.join()
        first = next(n for n, (op, _) in enumerate(sent) if op == "cancel")
        self.assertEqual({op for op, _ in sent[first:]}, {"cancel"})

    def test_daemon_that_drains_is_not_waited_for_without_patience(self):
        def answer(connection, command):
            connection.sendall(b'{"event":"rejected","line":1,"problem":{"code":"draining"}}\n')
        engine = Engine(FakeDaemon(self, answer).path, reconnect=0)
        self.addCleanup(engine.close)
        with self.assertRaises(SubmissionError) as refused:
            list(engine.map("/x.py", [1]))
        self.assertEqual(refused.exception.code, "draining")

    def test_watches_wait_for_room_too(self):
        asked = []

        def answer(connection, command):
            asked.append(command["task_id"])
            if asked.count(command["task_id"]) == 1:
                line = {"event": "rejected", "line": len(asked), "problem": {"code": "too_many_watches"}}
                connection.sendall(json.dumps(line).encode() + b"\n")
            elif len(asked) == 6:
                for n, task_id in enumerate(ids):
                    connection.sendall(result_line(task_id, n))
        ids = [Task.create("/x.py").task_id for _ in range(3)]
        engine = Engine(FakeDaemon(self, answer).path)
        self.addCleanup(engine.close)
        with mock.patch.multiple(link, FULL_PAUSE=0.01, LONGEST_FULL_PAUSE=0.01):
            self.assertEqual(sorted(r.data for r in engine.as_completed(ids)), [0, 1, 2])
        self.assertEqual(asked, ids * 2)


CONFIG = """
executor "python" { command = "cpulb-python" }
pool "cpu" {
  executor   = "python"
  task_types = ["cpu_bound", "io_bound"]
  workers    = 1
}
queue { max_tasks = 4 }
"""


class Daemon(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with tempfile.NamedTemporaryFile("w", suffix=".hcl") as config:
            config.write(CONFIG)
            config.flush()
            cls.private = Engine.private(BIN, config=config.name)
        cls.addClassCleanup(cls.private.close)
        cls.folder = tempfile.TemporaryDirectory(prefix="cpulb-test-")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.script = os.path.join(cls.folder.name, "same.py")
        with open(cls.script, "w", encoding="utf-8") as file:
            file.write("def main(params, context):\n    return params\n")

    def test_a_map_waits_for_room_whatever_the_patience(self):
        with Engine(self.private._link.path, reconnect=0) as engine:
            self.assertEqual([r.data for r in engine.map(self.script, range(300), in_flight=64)], list(range(300)))
            tasks = [Task.create(self.script, n) for n in range(100)]
            self.assertEqual(sorted(r.data for r in engine.as_completed(tasks)), list(range(100)))

    def test_an_async_map_waits_for_room_whatever_the_patience(self):
        async def run():
            async with AsyncEngine(self.private._link.path, reconnect=0) as engine:
                return [r.data async for r in engine.map(self.script, range(300), in_flight=64)]
        self.assertEqual(asyncio.run(run()), list(range(300)))


if __name__ == "__main__":
    unittest.main()
