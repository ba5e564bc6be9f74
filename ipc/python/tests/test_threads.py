"""Many threads on one stream: whoever reads for all may leave at any time."""

import os
import random
import signal
import socket
import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

from cpu_load_balancer import ConnectionLostError, Engine, ResultTimeoutError, Task, stream
from cpu_load_balancer.stream import Stream
from fake import FakeDaemon, accepted_line, result_line

SECONDS = 60


class Together(unittest.TestCase):
    def setUp(self):
        self.lock = threading.Lock()
        self.held = []  # (connection, command) of tasks whose results are held back
        self.came = threading.Condition(self.lock)

    def hold(self, connection, command):
        """Accept the task, and keep its result until release."""
        with self.lock:
            if command.get("ack", True):
                connection.sendall(accepted_line(command["task"]["task_id"]))
            self.held.append((connection, command["task"]))
            self.came.notify_all()

    def release(self, count):
        """Send the results of the tasks that are held, once there are count, the last one first, in one write."""
        with self.lock:
            self.assertTrue(self.came.wait_for(lambda: len(self.held) >= count, SECONDS))
            held, self.held = self.held, []
            held[0][0].sendall(b"".join(result_line(task["task_id"], task["params"]) for _, task in reversed(held)))

    def engine(self, answer):
        self.daemon = FakeDaemon(self, answer)
        engine = Engine(self.daemon.path)
        self.addCleanup(engine.close)
        return engine

    def at_once(self, connection, command):
        """Accept and end the task in two writes, or in one."""
        task_id = command["task"]["task_id"]
        accepted = accepted_line(task_id) if command.get("ack", True) else b""
        result = result_line(task_id, command["task"]["params"])
        if random.random() < 0.5:
            connection.sendall(accepted)
            connection.sendall(result)
        else:
            connection.sendall(accepted + result)

    def test_hundred_threads_that_submit_and_wait_get_their_own(self):
        engine = self.engine(self.at_once)

        def work(number):
            for i in range(20):
                task = Task.create("/x.py", number * 1000 + i)
                result = engine.run_task(task, SECONDS) if i % 2 else engine.get_result(engine.submit_task(task), SECONDS)
                if (result.task_id, result.data) != (task.task_id, task.params):
                    return result
            return None
        with ThreadPoolExecutor(100) as threads:
            self.assertEqual([bad for bad in threads.map(work, range(100)) if bad], [])
        self.assertEqual(self.daemon.connections, 1)

    def test_results_that_come_together_wake_all_their_threads(self):
        engine = self.engine(self.hold)
        with ThreadPoolExecutor(50) as threads:
            running = [threads.submit(engine.run_task, Task.create("/x.py", n), SECONDS) for n in range(50)]
            self.release(50)
            self.assertEqual([r.result().data for r in running], list(range(50)))

    def test_leader_that_gives_up_is_followed_by_another(self):
        engine = self.engine(self.hold)
        impatient = engine.submit_task(Task.create("/x.py", "late"))
        patient = [engine.submit_task(Task.create("/x.py", n)) for n in range(8)]
        with ThreadPoolExecutor(16) as threads:
            for seconds in (0.0, 0.01, 0.02, 0.03):
                late = threads.submit(engine.get_result, impatient, seconds)
                results = [threads.submit(engine.get_result, p, SECONDS) for p in patient[:2]]
                self.assertRaises(ResultTimeoutError, late.result)
                patient = patient[2:]
                with self.lock:
                    ended = [held for held in self.held if held[1]["task_id"] != impatient][:2]
                    self.held = [held for held in self.held if held not in ended]
                    for connection, task in ended:
                        connection.sendall(result_line(task["task_id"], task["params"]))
                self.assertEqual(len([r.result().data for r in results]), 2)
        self.release(1)
        self.assertEqual(engine.get_result(impatient, SECONDS).data, "late")
        self.assertEqual(self.daemon.connections, 1)

    def test_threads_that_come_and_go_at_any_time_all_get_what_they_wait_for(self):
        def answer(connection, command):
            task_id = command["task"]["task_id"]
            with self.lock:
                self.held.append(result_line(task_id, command["task"]["params"]))
                late = [] if random.random() < 0.7 else self.held
                if late:
                    self.held = []
                connection.sendall(accepted_line(task_id) + b"".join(late))
        engine = self.engine(answer)

        def work(number):
            for i in range(20):
                task_id = engine.submit_task(Task.create("/x.py", [number, i]))
                waits = 0
                while True:
                    waits += 1
                    try:
                        result = engine.get_result(task_id, random.choice((0, 0.0001, 0.001, 0.01)))
                        break
                    except ResultTimeoutError:
                        if waits % 3 == 0:  # who is alone has to see to it that more is sent
                            engine.submit_task(Task.create("/x.py", "more"))
                if result.data != [number, i]:
                    return result
            return None
        with ThreadPoolExecutor(30) as threads:
            self.assertEqual([bad for bad in threads.map(work, range(30)) if bad], [])
        self.assertEqual(self.daemon.connections, 1)

    def test_result_that_comes_as_the_time_is_over_is_not_lost(self):
        engine = self.engine(lambda connection, command: self.hold(connection, command))
        in_time = stream._left

        def too_late(waiter, deadline):
            if waiter.task_id != late.task_id:
                return in_time(waiter, deadline)
            self.release(2)
            while waiter.answer is None:
                time.sleep(0)
            raise ResultTimeoutError("no answer in the time given")
        late = Task.create("/x.py", "late")
        with ThreadPoolExecutor(1) as threads:
            leads = threads.submit(engine.run_task, Task.create("/x.py", "leads"), SECONDS)
            while engine._own().stream is None or not engine._own().stream._reading:
                time.sleep(0)
            with mock.patch.object(stream, "_left", too_late):
                self.assertEqual(engine.run_task(late, SECONDS).data, "late")
            self.assertEqual(leads.result().data, "leads")

    def test_leader_that_is_interrupted_leaves_nobody_waiting(self):
        stream = Stream(FakeDaemon(self, self.hold).path)
        self.addCleanup(stream.close)
        ids = [stream.submit(t.task_id, t.to_json(), SECONDS) for t in (Task.create("/x.py", n) for n in range(5))]

        reads = threading.Event()

        def interrupt(*_):
            if reads.is_set():
                raise KeyboardInterrupt
            reads.set()  # the others come behind this thread, which reads

        def follow(task_id):
            reads.wait()
            return self.ended(stream, task_id)
        before = signal.signal(signal.SIGALRM, interrupt)
        self.addCleanup(signal.signal, signal.SIGALRM, before)
        self.addCleanup(signal.setitimer, signal.ITIMER_REAL, 0)
        with ThreadPoolExecutor(4) as threads:
            others = [threads.submit(follow, i) for i in ids[1:]]
            signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
            with self.assertRaises(KeyboardInterrupt):
                stream.result(ids[0], time.monotonic() + SECONDS)
            signal.setitimer(signal.ITIMER_REAL, 0)
            self.assertEqual([type(o.result()) for o in others], [ConnectionLostError] * 4)

    def ended(self, stream, task_id):
        try:
            return stream.result(task_id, time.monotonic() + SECONDS)
        except ConnectionLostError as error:
            return error

    def test_daemon_that_dies_in_the_midst_of_a_line_is_told_to_all(self):
        def dies(connection, command):
            with self.lock:
                self.held.append(command)
                if len(self.held) == 10:
                    connection.sendall(result_line(command["task"]["task_id"])[:-20])
                    connection.shutdown(socket.SHUT_RDWR)
        stream = Stream(FakeDaemon(self, dies).path)
        self.addCleanup(stream.close)

        def work(_):
            task = Task.create("/x.py")
            try:
                return stream.run(task.task_id, task.to_json(), time.monotonic() + SECONDS)
            except ConnectionLostError as error:
                return error.code
        with ThreadPoolExecutor(10) as threads:
            self.assertEqual(list(threads.map(work, range(10))), ["connection_lost"] * 10)
        self.assertFalse(stream.usable)

    def test_time_for_an_answer_counts_once_the_line_has_been_sent(self):
        full, reads = threading.Event(), threading.Event()

        def stalls(connection, command):
            if command["task"]["params"] == "stall":
                full.set()
                reads.wait()
            connection.sendall(accepted_line(command["task"]["task_id"]))

        class Counting(Stream):
            waits = 0

            def _answer(self, waiter, deadline, line=None):
                if waiter.task_id == behind.task_id:
                    self.waits += 1
                    if self.waits == 3:
                        deadline = time.monotonic() + SECONDS
                        reads.set()
                return super()._answer(waiter, deadline, line)
        behind = Task.create("/x.py", "behind")
        stream = Counting(FakeDaemon(self, stalls).path)
        self.addCleanup(stream.close)
        self.addCleanup(reads.set)
        with ThreadPoolExecutor(3) as threads:
            def submit(task, seconds):
                return threads.submit(stream.submit, task.task_id, task.to_json(), seconds)
            first = submit(Task.create("/x.py", "stall"), SECONDS)
            full.wait()
            large = submit(Task.create("/x.py", "x" * 5_000_000), SECONDS)  # more than the connection takes
            while stream._sent < 1 or not stream._sending:
                pass
            second = submit(behind, 0.02)
            self.assertEqual(second.result(SECONDS), behind.task_id)
            self.assertTrue(first.result(SECONDS) and large.result(SECONDS))
        self.assertGreaterEqual(stream.waits, 3)

    def test_line_of_the_thread_that_reads_is_sent_by_one_that_has_sent_for_long(self):
        stream = Stream(FakeDaemon(self, self.at_once).path)
        self.addCleanup(stream.close)
        send, others = stream._lines.send, []
        rounds = threading.Semaphore(8)

        def run(_):
            task = Task.create("/x.py", 1)
            return stream.run(task.task_id, task.to_json(), time.monotonic() + SECONDS / 10)

        def one_more_comes_meanwhile(text, deadline):
            rest = send(text, deadline)
            if rounds.acquire(blocking=False):  # all that were sent before have their answers, and nobody waits
                for other in others:
                    other.result()
                others.append(threads.submit(run, 0))
                while not (stream._unsent and stream._reading):
                    pass
            return rest
        stream._lines.send = one_more_comes_meanwhile
        with ThreadPoolExecutor(9) as threads:
            self.assertTrue(run(0))
            self.assertEqual([bool(o.result()) for o in others], [True] * 8)

    def test_child_of_fork_has_a_connection_of_its_own(self):
        engine = self.engine(self.at_once)
        before = engine.submit_task(Task.create("/x.py", "before"))
        connection = engine._own().stream
        engine._own().lock.acquire()  # by a thread that the child does not have
        child = os.fork()
        if child == 0:
            signal.alarm(SECONDS)
            status = 1
            try:
                status = sum(engine.run_task(Task.create("/x.py", n), SECONDS).data != n for n in range(3))
                engine.close()
            finally:
                os._exit(status)
        engine._own().lock.release()
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)
        self.assertEqual(engine.get_result(before, SECONDS).data, "before")
        self.assertEqual(engine.run_task(Task.create("/x.py", 4), SECONDS).data, 4)
        self.assertIs(engine._own().stream, connection)
        self.assertEqual(self.daemon.connections, 2)

    def test_child_that_closes_all_descriptors_has_a_connection_of_its_own(self):
        engine = self.engine(self.at_once)
        engine.run_task(Task.create("/x.py", 0), SECONDS)
        child = os.fork()
        if child == 0:
            signal.alarm(SECONDS)
            status = 1
            try:
                os.closerange(3, 256)
                status = int(engine.run_task(Task.create("/x.py", 1), SECONDS).data != 1)
            finally:
                os._exit(status)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)
        self.assertEqual(engine.run_task(Task.create("/x.py", 2), SECONDS).data, 2)

    def test_submission_is_sent_again_on_a_new_connection(self):
        def dies_once(connection, command):
            self.held.append(command["task"]["task_id"])
            if len(self.held) == 1:
                connection.shutdown(socket.SHUT_RDWR)
            else:
                self.at_once(connection, command)
        engine = self.engine(dies_once)
        task = Task.create("/x.py", 7)
        self.assertEqual(engine.run_task(task, SECONDS).data, 7)
        self.assertEqual(self.held, [task.task_id] * 2)

    def test_result_that_can_not_be_read_harms_its_own_task_alone(self):
        def garbles(connection, command):
            task_id = command["task"]["task_id"]
            line = result_line(task_id, command["task"]["params"])
            connection.sendall(line.replace(b'"data":1', b'"data":oops'))
        engine = self.engine(garbles)
        results = [engine.run_task(Task.create("/x.py", n), SECONDS) for n in range(3)]
        self.assertEqual([results[0].data, results[2].data], [0, 2])
        with self.assertRaises(ConnectionLostError) as caught:
            _ = results[1].data
        self.assertEqual(caught.exception.code, "bad_answer")

    def test_huge_result_comes_whole_and_in_its_turn(self):
        text = "x" * 3_000_000

        def large(connection, command):
            task_id = command["task"]["task_id"]
            connection.sendall(result_line(task_id, text) if command["task"]["params"] else result_line(task_id, "small"))
        engine = self.engine(large)
        with ThreadPoolExecutor(4) as threads:
            results = list(threads.map(lambda n: engine.run_task(Task.create("/x.py", n % 2), SECONDS).data, range(12)))
        self.assertEqual([len(r) for r in results], [5, 3_000_000] * 6)

    def test_key_that_is_known_gives_the_other_tasks_result(self):
        other = Task.create("/x.py").task_id

        def known(connection, command):
            sent = command["task"]["task_id"]
            connection.sendall(f'{{"event":"accepted","task_id":"{other}","sent_as":"{sent}","status":"queued"}}\n'.encode())
            connection.sendall(result_line(other, "the other's"))
        engine = self.engine(known)
        result = engine.run_task(Task.create("/x.py", idempotency_key="k"), SECONDS)
        self.assertEqual((result.task_id, result.data), (other, "the other's"))
        task_id = engine.submit_task(Task.create("/x.py", idempotency_key="k"))
        self.assertEqual((task_id, engine.get_result(task_id, SECONDS).data), (other, "the other's"))


if __name__ == "__main__":
    unittest.main()
