"""A daemon that reads nothing, as one that was stopped: who gave a time is not kept longer."""

import os
import signal
import socket
import tempfile
import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

from cpu_load_balancer import ConnectionLostError, Engine, ResultTimeoutError, Task
from cpu_load_balancer.connection import connect
from cpu_load_balancer.stream import Stream
from fake import FakeDaemon, accepted_line, result_line

SECONDS = 60
LARGE = "x" * 3_000_000  # more than the connection takes


class ReadsNothing(unittest.TestCase):
    def setUp(self):
        self.goes_on = threading.Event()
        self.came = []

    def answer(self, connection, command):
        self.goes_on.wait()
        task = command["task"]
        self.came.append(task["params"])
        connection.sendall((accepted_line(task["task_id"]) if command.get("ack", True) else b"")
                           + result_line(task["task_id"], len(task["params"])))

    def daemon(self):
        daemon = FakeDaemon(self, self.answer)
        self.addCleanup(self.goes_on.set)
        return daemon

    def test_run_task_ends_in_time_and_the_tasks_go_on_with_the_daemon(self):
        daemon = self.daemon()
        engine = Engine(daemon.path)
        self.addCleanup(engine.close)
        tasks = [Task.create("/x.py", LARGE + str(n)) for n in range(5)]

        def late(call, *arguments):
            with self.assertRaises(ResultTimeoutError):
                call(*arguments)
        for task in tasks[:2]:
            late(engine.run_task, task, 0.05)
        with ThreadPoolExecutor(6) as threads:
            running = [threads.submit(late, engine.run_task, task, 0.05) for task in tasks[2:]]
            running += [threads.submit(late, engine.get_result, task.task_id, 0.05) for task in tasks[:3]]
            for call in running:
                call.result(SECONDS)
        self.goes_on.set()
        results = [engine.get_result(task.task_id, SECONDS).data for task in reversed(tasks)]
        self.assertEqual(results, [len(LARGE) + 1] * 5)
        self.assertEqual(daemon.connections, 1)

    def test_rest_of_a_line_is_sent_by_the_thread_that_reads_if_there_is_no_other(self):
        first, large = Task.create("/x.py", "first"), Task.create("/x.py", LARGE)

        def after_the_other(connection, command):
            self.goes_on.wait()
            if command["task"]["task_id"] == large.task_id:
                connection.sendall(result_line(first.task_id, "answered"))
        self.answer = after_the_other
        engine = Engine(self.daemon().path)
        self.addCleanup(engine.close)
        with ThreadPoolExecutor(1) as threads:
            reads = threads.submit(engine.run_task, first, SECONDS)
            while not (engine._own().stream and engine._own().stream._reading):
                pass
            self.assertRaises(ResultTimeoutError, engine.run_task, large, 0.05)
            self.goes_on.set()
            self.assertEqual(reads.result(SECONDS).data, "answered")

    def test_submission_is_withdrawn_when_nothing_is_sent_for_long(self):
        stream = Stream(self.daemon().path)
        self.addCleanup(stream.close)
        large, behind, last = (Task.create("/x.py", params) for params in (LARGE, "behind", "last"))
        for task in (Task.create("/x.py", "first"), large):
            self.assertRaises(ResultTimeoutError, stream.run, task.task_id, task.to_json(), time.monotonic() + 0.05)
        with mock.patch("cpu_load_balancer.stream._STALL_SECONDS", 0.1):
            self.assertRaises(ResultTimeoutError, stream.submit, behind.task_id, behind.to_json(), 0.02)
        self.goes_on.set()
        self.assertEqual(stream.submit(last.task_id, last.to_json(), SECONDS), last.task_id)
        self.assertTrue(stream.result(large.task_id, time.monotonic() + SECONDS))
        self.assertEqual([params[:5] for params in self.came], ["first", LARGE[:5], "last"])

    def test_calls_end_in_time_when_the_connection_is_not_answered(self):
        folder = tempfile.TemporaryDirectory(prefix="cpulb-test-")
        self.addCleanup(folder.cleanup)
        path = os.path.join(folder.name, "s")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen(1)
            self.ends_in_time(path)
            waiting = []
            try:
                while True:
                    waiting.append(socket.socket(socket.AF_UNIX))
                    waiting[-1].setblocking(False)
                    waiting[-1].connect(path)
            except BlockingIOError:
                self.ends_in_time(path)  # nor even taken
            finally:
                for connection in waiting:
                    connection.close()

    def test_signal_does_not_end_the_wait_for_a_connection(self):
        folder = tempfile.TemporaryDirectory(prefix="cpulb-test-")
        self.addCleanup(folder.cleanup)
        path = os.path.join(folder.name, "s")
        came = threading.Event()
        before = signal.signal(signal.SIGALRM, lambda *_: came.set())
        self.addCleanup(signal.signal, signal.SIGALRM, before)
        for seconds in (None, SECONDS):
            came.clear()
            with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
                listener.bind(path)
                listener.listen(0)
                first.connect(path)

                def accept():
                    came.wait()
                    listener.accept()[0].close()
                taking = threading.Thread(target=accept)
                taking.start()
                signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
                try:
                    with connect(path, seconds) as connection:
                        self.assertEqual(connection.getpeername(), path)
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
                    came.set()
                    taking.join()
                os.unlink(path)

    def ends_in_time(self, path):
        task = Task.create("/x.py")
        with Engine(path) as engine, ThreadPoolExecutor(4) as threads:
            calls = [threads.submit(engine.run_task, task, 0.01) for _ in range(3)]
            calls.append(threads.submit(engine.get_result, task.task_id, 0.01))
            for call in calls:
                self.assertRaises(ResultTimeoutError, call.result, SECONDS / 2)

    def test_close_frees_who_sends(self):
        engine = Engine(self.daemon().path)
        self.assertRaises(ResultTimeoutError, engine.run_task, Task.create("/x.py", "first"), 0.05)
        with ThreadPoolExecutor(1) as threads:
            sends = threads.submit(engine.run_task, Task.create("/x.py", LARGE), SECONDS)
            while not engine._own().stream._lines._full_since:
                pass
            engine.close()
            self.assertRaises(ConnectionLostError, sends.result)


if __name__ == "__main__":
    unittest.main()
