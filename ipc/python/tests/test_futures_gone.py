"""An Executor whose daemon has gone, or does not answer, ends without it; and one restart may strike many of its workers."""

import os
import socket
import tempfile
import threading
import types
import unittest
from unittest import mock

from cpu_load_balancer import Engine, flow
from cpu_load_balancer.futures import tasks, wire
from cpu_load_balancer.futures.bell import Bell
from cpu_load_balancer.futures.tasks import Tasks
from played import Played


class Gone(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "s")
        bell = Bell()
        self.addCleanup(bell.close)
        self.engine = Engine(self.path, reconnect=None)
        self.addCleanup(self.engine.close)
        self.engine._link.met = True
        self.tasks = Tasks(self.engine, bell, "", None, {})
        for module, name in ((flow, "_CANCEL_SECONDS"), (tasks, "_LOOK_SECONDS")):
            patch = mock.patch.object(module, name, 0.05)
            patch.start()
            self.addCleanup(patch.stop)

    def end(self, connected):
        """Have three workers asked for, and the tasks closed."""
        for _ in range(3):
            self.tasks.start()
        closes = threading.Thread(target=self.tasks.close, args=(connected,), daemon=True)
        closes.start()
        closes.join(tasks._END_SECONDS / 2)
        self.assertFalse(closes.is_alive())

    def test_end_waits_for_no_daemon_that_has_gone_however_many_workers_there_were_and_however_long_it_is_looked_for(self):
        self.end(set())
        self.end({4, 5, 6})

    def test_end_waits_for_no_daemon_that_does_not_answer(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(self.path)
            listener.listen()
            self.end(set())

    def test_workers_of_a_daemon_that_is_there_have_one_time_to_end_in_all(self):
        self.tasks._threads = {number: mock.Mock(**{"is_alive.return_value": True}) for number in (1, 2, 3)}
        with mock.patch.object(tasks, "call"), mock.patch.object(tasks.time, "monotonic", return_value=0.0) as clock:
            for thread in self.tasks._threads.values():
                thread.join.side_effect = lambda seconds: setattr(clock, "return_value", clock.return_value + seconds)
            self.tasks.close({1, 2, 3})
        self.assertEqual(clock.return_value, tasks._END_SECONDS)


class Struck(Played):
    def test_workers_that_one_restart_strikes_before_they_took_calls_are_replaced_however_many_they_are(self):
        for code in ("daemon_lost", "daemon_stopped"):
            with self.subTest(code):
                self.numbers = 0
                self.keep(workers=4)
                calls = self.submit(4)
                self.keeper._look()
                self.assertEqual(self.tasks.started, 4)
                error = types.SimpleNamespace(code=code, message="as it were")
                engine = mock.Mock(**{"run_task.return_value": types.SimpleNamespace(error=error, stdout="", stderr="")})
                struck = Tasks(engine, mock.Mock(), "", None, {})
                for number in range(1, 5):
                    struck._carry(number, types.SimpleNamespace(task_id="task"))
                self.tasks.ended.extend(struck.ended)
                self.keeper._look()
                self.assertEqual((self.keeper.broken, [call.done() for call in calls]), ("", [False] * 4))
                self.keeper._short_until = 0.0
                for _ in range(4):  # one at a time
                    self.keeper._look()
                self.assertEqual((self.tasks.started, self.pool.starting), (8, 4))
                for number in range(5, 9):
                    self.arrive(number)
                while self.pool.pending or any(carrier.outstanding for carrier in self.pool.carriers.values()):
                    for carrier in self.pool.carriers.values():
                        carrier.receive([(wire.RESULT, number, 1000, b"N.", -1) for number in list(carrier.outstanding)])
                        self.pool.feed(carrier)
                self.assertEqual([call.result(0) for call in calls], [None] * 4)


if __name__ == "__main__":
    unittest.main()
