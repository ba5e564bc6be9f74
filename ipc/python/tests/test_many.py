"""map and as_completed: in order and as they end, no further than asked, and what becomes of the rest."""

import contextlib
import itertools
import json
import os
import signal
import tempfile
import time
import unittest
from unittest import mock

from cpu_load_balancer import (Batch, ConnectionLostError, Engine, ResultTimeoutError, SubmissionError, Task, TaskNotFoundError,
                               TaskStatus, link)
from fake import FakeDaemon, result_line

BIN = os.environ.get("CPULB_BIN") or os.path.join(os.path.dirname(__file__), "../../../bin")
SECONDS = 60
SCRIPT = """
import time
def main(params, context):
    while params == "hold" and not context.cancelled:
        time.sleep(0.001)
    return params
"""


@contextlib.contextmanager
def interrupted_by_a_signal(seconds):
    """Have a signal raise what Ctrl-C does, after so many seconds."""
    def interrupt(*_):
        signal.setitimer(signal.ITIMER_REAL, 0)
        raise KeyboardInterrupt
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class WithDaemon(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="cpulb-test-")
        cls.addClassCleanup(folder.cleanup)
        cls.script = os.path.join(folder.name, "script.py")
        with open(cls.script, "w", encoding="utf-8") as script:
            script.write(SCRIPT)
        cls.engine = Engine.private(BIN)
        cls.addClassCleanup(cls.engine.close)

    def task(self, params):
        return Task.create(self.script, params, "io_bound")

    def test_map_gives_each_result_once_and_in_order(self):
        for in_flight in (1, 3, 1000):
            results = self.engine.map(self.script, range(300), in_flight=in_flight, timeout=SECONDS, task_type="io_bound")
            self.assertEqual([r.data for r in results], list(range(300)))
        self.assertEqual(list(self.engine.map(self.script, [])), [])
        odd = [None, {}, [], "", "\u2028\u2603\n\"\\", {"k\ud800": None}, "x" * 5_000_000, 10 ** 40, -0.0]
        self.assertEqual([r.data for r in self.engine.map(self.script, odd)], odd)

    def test_as_completed_gives_each_once_as_it_ends_whoever_submitted_it(self):
        with Engine(self.engine.socket) as other:
            held, ended = other.submit_task(self.task("hold")), other.submit_task(self.task("ended"))
            other.get_result(ended)
        mine = self.engine.submit_task(self.task("mine"))
        new = self.task("new")
        results = self.engine.as_completed([held, ended.upper(), mine, new, mine, new], SECONDS)
        self.assertEqual({r.data for r in itertools.islice(results, 3)}, {"ended", "mine", "new"})
        self.engine.cancel(held)
        self.assertEqual([(r.task_id, r.status) for r in results], [(held, TaskStatus.CANCELLED)])
        self.assertEqual(list(self.engine.as_completed([])), [])

    def test_as_completed_goes_on_after_a_task_that_has_no_result(self):
        unknown, missing, good = "01890000-0000-7000-8000-000000000000", Task.create("/missing.py"), self.task(1)
        results, came = self.engine.as_completed([unknown, missing, good], SECONDS), {}
        for _ in range(3):
            try:
                came[good.task_id] = next(results).data
            except (SubmissionError, TaskNotFoundError) as error:
                came[error.task_id] = error.code
        self.assertEqual(came, {unknown: "task_not_found", missing.task_id: "script_not_found", good.task_id: 1})
        self.assertRaises(StopIteration, next, results)
        self.assertRaises(TaskNotFoundError, self.engine.as_completed, ["banana"])

    def test_time_that_is_over_ends_the_iteration_and_no_task(self):
        held = self.task("hold")
        with self.engine.as_completed([held], 0.05) as results:
            self.assertRaisesRegex(ResultTimeoutError, "1 of the tasks", next, results)
        self.assertFalse(self.engine.get_task(held.task_id).status.is_terminal)
        self.engine.cancel(held.task_id)

    def test_who_leaves_a_map_has_the_rest_cancelled(self):
        def close(results):
            next(results)
            results.close()

        def leave_by_break(results):
            for _ in results:
                break

        def forget(results):
            next(results)

        def take_too_long(results):
            next(results)
            self.assertRaises(ResultTimeoutError, next, results)

        def fail(results):
            with self.assertRaises(ZeroDivisionError):
                for _ in results:
                    1 // 0

        def throw(results):
            next(results)
            self.assertRaises(ZeroDivisionError, results.throw, ZeroDivisionError())

        def interrupt(results):
            next(results)
            with interrupted_by_a_signal(0.1):
                self.assertRaises(KeyboardInterrupt, next, results)
        for leave in (close, leave_by_break, forget, take_too_long, fail, throw, interrupt):
            with self.subTest(leave.__name__):
                made = []

                def make(params):
                    made.append(self.task(params))
                    return made[-1]
                # The only reference to it is that of the call: it ends with it.
                leave(self.engine.map(make, ["first"] + ["hold"] * 99, in_flight=5,
                                      timeout=0.2 if leave is take_too_long else SECONDS))
                ended = [self.engine.get_result(task.task_id, SECONDS) for task in made[1:]]
                self.assertEqual({r.status for r in ended}, {TaskStatus.CANCELLED})
                self.assertLessEqual(len(made), 6)

    def test_interrupt_ends_no_task_of_as_completed(self):
        held = self.task("hold")
        results = self.engine.as_completed([held], SECONDS)
        with interrupted_by_a_signal(0.1):
            self.assertRaises(KeyboardInterrupt, next, results)
        self.assertFalse(self.engine.get_task(held.task_id).status.is_terminal)
        self.engine.cancel(held.task_id)
        self.assertIs(next(results).status, TaskStatus.CANCELLED)

    def test_task_that_is_refused_raises_in_its_place(self):
        results = self.engine.map(lambda n: Task.create("/missing.py") if n == 2 else self.task(n), range(5), timeout=SECONDS)
        self.assertEqual([next(results).data, next(results).data], [0, 1])
        with self.assertRaises(SubmissionError) as refused:
            next(results)
        self.assertEqual(refused.exception.code, "script_not_found")

    def test_batch_is_its_accepted_tasks(self):
        tasks = [self.task(1), Task.create("/missing.py"), self.task(2)]
        batch = self.engine.submit_batch(tasks)
        self.assertEqual((len(batch), list(batch)), (2, [tasks[0].task_id, tasks[2].task_id]))
        self.assertEqual(sorted(r.data for r in self.engine.as_completed(batch, SECONDS)), [1, 2])
        self.assertEqual((len(Batch("id")), list(Batch("id"))), (0, []))


class WithFakes(unittest.TestCase):
    def daemon(self, answer):
        return FakeDaemon(self, answer)

    def engine(self, daemon, **options):
        engine = Engine(daemon.path, **options)
        self.addCleanup(engine.close)
        return engine

    def test_map_takes_no_more_than_its_bound_and_nothing_before_it_is_asked(self):
        taken = []

        def items():
            for n in itertools.count():
                taken.append(n)
                yield n

        def answer(connection, command):
            if command["op"] == "submit":
                connection.sendall(result_line(command["task"]["task_id"], command["task"]["params"]))
        results = self.engine(self.daemon(answer)).map("/x.py", items(), in_flight=4)
        self.assertEqual(taken, [])
        for n in range(100):
            self.assertEqual(next(results).data, n)
            self.assertLessEqual(len(taken), n + 4)
        results.close()

    def test_each_result_comes_once_however_often_the_connection_is_lost(self):
        sent = {}

        def answer(connection, command):
            task = command["task"]
            sent[task["params"]] = sent.get(task["params"], 0) + 1
            if task["params"] % 7 == 3 and sent[task["params"]] == 1:
                connection.shutdown(2)
            else:
                connection.sendall(result_line(task["task_id"], task["params"]))
        daemon = self.daemon(answer)
        results = self.engine(daemon).map("/x.py", range(50), in_flight=5)
        self.assertEqual([r.data for r in results], list(range(50)))
        results = self.engine(daemon).as_completed(Task.create("/x.py", n) for n in range(100, 150))
        self.assertEqual(sorted(r.data for r in results), list(range(100, 150)))
        self.assertGreater(daemon.connections, 10)

    @mock.patch.multiple(link, FULL_PAUSE=0.01, LONGEST_FULL_PAUSE=0.01)
    def test_what_is_refused_for_now_is_sent_again(self):
        sent, number = {}, {}

        def answer(connection, command):
            number[connection] = number.get(connection, 0) + 1
            task = command["task"]
            sent[task["params"]] = sent.get(task["params"], 0) + 1
            if sent[task["params"]] <= 2:
                line = {"event": "rejected", "task_id": task["task_id"], "line": number[connection],
                        "problem": {"code": ("queue_full", "draining", "journal_full")[task["params"] % 3]}}
                connection.sendall(json.dumps(line).encode() + b"\n")
            else:
                connection.sendall(result_line(task["task_id"], task["params"]))
        results = self.engine(self.daemon(answer)).map("/x.py", range(20), in_flight=6)
        self.assertEqual([r.data for r in results], list(range(20)))
        self.assertEqual(set(sent.values()), {3})

    @mock.patch.multiple(link, FULL_PAUSE=0.01, LONGEST_FULL_PAUSE=0.01)
    def test_a_connection_that_is_refused_for_now_is_made_again(self):
        daemon = FakeDaemon(self, lambda c, command: c.sendall(result_line(command["task"]["task_id"], command["task"]["params"])), 3)
        self.assertEqual([r.data for r in self.engine(daemon).map("/x.py", range(9))], list(range(9)))
        self.assertEqual(daemon.connections, 4)

    def cancelled_after(self, items, interrupted_in, **options):
        """Interrupt a map in the midst of something. Return what has been sent of its tasks, and cancelled after that."""
        events = []

        def answer(connection, command):
            events.append((command["op"], command.get("task_id") or command["task"]["task_id"]))
            interrupted_in(connection, command, len(events))
        daemon = self.daemon(answer)
        results = self.engine(daemon, **options).map("/x.py", items)
        with interrupted_by_a_signal(0.2):
            self.assertRaises(KeyboardInterrupt, next, results)
        daemon.join()
        sent = {task_id for op, task_id in events if op == "submit"}
        return sent, {task_id for op, task_id in events if op == "cancel" and task_id in sent}

    def test_interrupt_cancels_while_the_map_waits_or_connects_or_has_sent_a_part(self):
        def nothing(*_):
            pass

        def lose_all(connection, command, _):
            if command["op"] == "submit":
                connection.shutdown(2)

        def stop_reading(_, command, count):
            if command["op"] == "submit" and count == 2:
                time.sleep(0.5)  # the interrupt comes meanwhile
        for name, items, in_the_midst in (("waits", range(9), nothing), ("loses the connection", range(9), lose_all),
                                          ("has sent a part", ["x" * 3_000_000] * 9, stop_reading)):
            with self.subTest(name):
                began = time.monotonic()
                sent, cancelled = self.cancelled_after(items, in_the_midst)
                self.assertTrue(sent)
                self.assertEqual(sent, cancelled)
                self.assertLess(time.monotonic() - began, SECONDS / 2)

    def test_leaving_a_map_whose_daemon_is_gone_ends_in_time(self):
        def go(connection, _):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(daemon.path)
            connection.shutdown(2)
        for reconnect, seconds, raised in ((None, 0.2, KeyboardInterrupt), (0.05, SECONDS, ConnectionLostError)):
            daemon = self.daemon(go)
            results = self.engine(daemon, reconnect=reconnect).map("/x.py", range(3))
            with mock.patch("cpu_load_balancer.flow._CANCEL_SECONDS", seconds), interrupted_by_a_signal(0.5):
                self.assertRaises(raised, next, results)

    def test_child_of_a_fork_cancels_nothing_of_its_parents_and_goes_on_by_itself(self):
        cancelled = []

        def answer(connection, command):
            if command["op"] == "cancel":
                cancelled.append(command["task_id"])
            else:
                connection.sendall(result_line(command["task"]["task_id"], command["task"]["params"]))
        engine = self.engine(self.daemon(answer))
        results = engine.map("/x.py", range(100), in_flight=3)
        self.assertEqual(next(results).data, 0)
        child = os.fork()
        if child == 0:
            try:
                data = [next(results).data, next(results).data]
                results.close()
                os._exit(0 if data == [1, 2] else 1)
            finally:
                os._exit(2)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        self.assertEqual([r.data for r in results], list(range(1, 100)))
        self.assertEqual(cancelled, [])

    def test_map_wants_a_bound_and_no_options_beside_a_factory(self):
        with Engine("/nowhere") as engine:
            self.assertRaises(ValueError, engine.map, "/x.py", [], in_flight=0)
            self.assertRaises(TypeError, engine.map, Task.create, [], priority=3)
            with self.assertRaisesRegex(TypeError, "return a Task, and not 3"):
                next(engine.map(lambda item: item, [3]))


if __name__ == "__main__":
    unittest.main()
