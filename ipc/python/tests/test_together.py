"""What many threads on one stream do together: who is woken when, and by what."""

import json
import os
import resource
import threading
import unittest
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

from cpu_load_balancer import Engine, Task
from cpu_load_balancer.bells import Bells
from cpu_load_balancer.post import Post
from cpu_load_balancer.waiter import Waiter
from fake import FakeDaemon, accepted_line, result_line

SECONDS = 30
IDS = [f"{n:08x}-0000-7000-8000-000000000000" for n in range(12)]


class Acceptances(unittest.TestCase):
    def post(self, count):
        """Return a Post with count waiters for what is accepted, and these."""
        post, waiters = Post(), [Waiter(task_id, False) for task_id in IDS[:count]]
        for number, waiter in enumerate(waiters):
            waiter.line = number + 1
            post.expect(waiter)
        return post, waiters

    def deliver(self, post, line):
        return list(post.deliver(line.rstrip(b"\n")))

    def test_few_threads_are_woken_at_once(self):
        post, waiters = self.post(3)
        self.assertEqual(self.deliver(post, accepted_line(IDS[1])), [waiters[1]])
        self.assertEqual(waiters[1].answer, IDS[1])

    def test_one_of_many_threads_is_woken_once_by_its_result(self):
        post, waiters = self.post(12)
        self.assertEqual(self.deliver(post, accepted_line(IDS[1])), [])
        self.assertEqual(self.deliver(post, result_line(IDS[1])), [waiters[1]])
        self.assertEqual(waiters[1].answer, IDS[1])
        self.assertTrue(post.take(IDS[1]))

    def test_one_whose_result_does_not_come_soon_is_woken_and_others_then_at_once(self):
        post, waiters = self.post(12)
        self.assertEqual(self.deliver(post, accepted_line(IDS[1])), [])
        with mock.patch("time.monotonic", lambda: waiters[1].since + 1):
            self.assertEqual(post.accepted_long_ago(False), [waiters[1]])
        self.assertEqual(waiters[1].answer, IDS[1])
        self.assertEqual(self.deliver(post, accepted_line(IDS[2])), [waiters[2]])

    def test_one_that_has_left_is_forgotten(self):
        post, waiters = self.post(12)
        self.deliver(post, accepted_line(IDS[1]))
        post.forget(waiters[1])
        self.assertEqual(self.deliver(post, result_line(IDS[1])), [])
        self.assertEqual((post.late, post.take(IDS[1]) is None), ({}, False))

    def test_refusals_are_not_waited_for(self):
        post, waiters = self.post(12)
        refusal = {"event": "rejected", "task_id": IDS[3], "line": 4, "problem": {"code": "queue_full"}}
        self.assertEqual(self.deliver(post, json.dumps(refusal).encode()), [waiters[3]])


class Threads(unittest.TestCase):
    def test_many_that_submit_what_does_not_end_are_all_answered(self):
        daemon = FakeDaemon(self, lambda connection, command: connection.sendall(accepted_line(command["task"]["task_id"])))
        with Engine(daemon.path) as engine, ThreadPoolExecutor(40) as threads:
            tasks = [Task.create("/x.py", n) for n in range(400)]
            self.assertEqual(list(threads.map(engine.submit_task, tasks)), [task.task_id for task in tasks])

    def test_none_is_left_waiting_where_there_are_no_descriptors_for_them(self):
        def answer(connection, command):
            connection.sendall(result_line(command["task"]["task_id"], command["task"]["params"]))
        with mock.patch("os.eventfd", create=True, side_effect=OSError), Engine(FakeDaemon(self, answer).path) as engine, \
                ThreadPoolExecutor(20) as threads:
            run = [threads.submit(engine.run_task, Task.create("/x.py", n), SECONDS) for n in range(200)]
            self.assertEqual([r.result().data for r in run], list(range(200)))

    def test_program_with_few_descriptors_keeps_half_of_them_for_its_files(self):
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, limits)
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, limits[1]))
        bells = Bells()
        taken = [bells.take() for _ in range(200)]
        files = [os.open(os.devnull, os.O_RDONLY) for _ in range(45)]
        for file in files:
            os.close(file)
        self.assertEqual(len({id(bell) for bell in taken}), 200)

    def test_bell_of_each_kind_rings_once_however_often_it_was_rung(self):
        for wanted in (OSError, None):
            with mock.patch("os.eventfd", create=True, side_effect=wanted) if wanted else mock.MagicMock():
                bell = Bells().take()
            bell.ring()
            bell.ring()
            bell.wait(SECONDS)
            ringing = threading.Thread(target=bell.ring)
            ringing.start()
            bell.wait(None)  # would be for ever if it did not wake
            ringing.join()
            bell.wait(0)  # and has nothing left


if __name__ == "__main__":
    unittest.main()
