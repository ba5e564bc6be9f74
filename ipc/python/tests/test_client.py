"""The client against a real, private daemon."""

import os
import signal
import tempfile
import threading
import unittest
import uuid
from concurrent.futures import ThreadPoolExecutor

from cpu_load_balancer import (ComponentStatus, ConnectionLostError, Engine, Result,
                               ResultTimeoutError, SubmissionError, Task, TaskNotFoundError, TaskStatus, TaskType)
from cpu_load_balancer.api import call
from cpu_load_balancer.exceptions import from_problem

BIN = os.environ.get("CPULB_BIN") or os.path.join(os.path.dirname(__file__), "../../../bin")
SCRIPTS = {
    "double": "def main(params, context):\n    print('hello')\n    return params['value'] * 2\n",
    "raises": "def main(params, context):\n    raise ValueError('no such luck')\n",
    "waits": "import os\ndef main(params, context):\n    with open(params['fifo']) as f:\n        return f.read()\n",
    "loops": "def main(params, context):\n    while True: pass\n",
    "large": "def main(params, context):\n    return 'x' * params\n",
}


class WithDaemon(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="cpulb-test-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = folder.name
        for name, text in SCRIPTS.items():
            with open(cls.path(name), "w", encoding="utf-8") as script:
                script.write(text)
        cls.engine = Engine.private(BIN)
        cls.addClassCleanup(cls.engine.close)

    @classmethod
    def path(cls, name):
        return os.path.join(cls.folder, name + ".py")

    def run_script(self, name, params=None, **options):
        return self.engine.get_result(self.engine.submit_task(Task.create(self.path(name), params, **options)), 60)

    def waiting_task(self):
        """Submit a task that runs until release is called."""
        fifo = os.path.join(self.folder, uuid.uuid4().hex)
        os.mkfifo(fifo)
        task_id = self.engine.submit_task(Task.create(self.path("waits"), {"fifo": fifo}, TaskType.IO_BOUND))

        def release():
            with open(fifo, "w", encoding="utf-8") as end:
                end.write("released")
        return task_id, release

    def test_result_carries_data_output_and_worker(self):
        result = self.run_script("double", {"value": 21})
        self.assertTrue(result.is_success, result)
        self.assertEqual((result.data, result.stdout, result.error), (42, "hello\n", None))
        self.assertEqual((result.attempts, result.worker.pool), (1, "cpu"))
        self.assertEqual(Result.from_dict(result.to_dict()), result)
        raw = call(self.engine.socket, "GET", f"/v1/tasks/{result.task_id}/result", 30)[1]
        self.assertEqual(result.to_dict(), raw)  # nothing that the daemon tells is missing

    def test_each_thread_gets_its_own_results(self):
        wrong = []

        def work(number):
            try:
                ids = [self.engine.submit_task(Task.create(self.path("double"), {"value": number * 1000 + i},
                                                           (TaskType.CPU_BOUND, TaskType.IO_BOUND)[i % 2]))
                       for i in range(25)]
                got = [self.engine.get_result(task_id, 60).data for task_id in reversed(ids)]
                if got != [2 * (number * 1000 + i) for i in reversed(range(25))]:
                    wrong.append((number, got))
            except Exception as error:  # a thread's failure must fail the test
                wrong.append((number, repr(error)))
        threads = [threading.Thread(target=work, args=(n,)) for n in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])

    def test_waiting_thread_does_not_delay_others(self):
        task_id, release = self.waiting_task()
        results = []
        waiter = threading.Thread(target=lambda: results.append(self.engine.get_result(task_id, 60)))
        waiter.start()
        self.assertEqual(self.run_script("double", {"value": 1}).data, 2)
        release()
        waiter.join()
        self.assertEqual(results[0].data, "released")

    def test_exception_becomes_a_failed_result(self):
        result = self.run_script("raises")
        self.assertEqual((result.status, result.is_success, result.data), (TaskStatus.FAILED, False, None))
        self.assertEqual((result.error.type, result.error.message), ("ValueError", "no such luck"))
        self.assertIn("raises.py", result.error.traceback)

    def test_missing_script_is_refused(self):
        with self.assertRaises(SubmissionError) as caught:
            self.run_script("missing")
        self.assertEqual(caught.exception.code, "script_not_found")
        self.assertIn("missing.py", str(caught.exception))

    def test_params_without_json_form_are_refused(self):
        for params in ({1, 2}, float("nan")):
            with self.assertRaises(SubmissionError):
                self.run_script("double", params)

    def test_result_not_ready_in_time_can_be_asked_for_again(self):
        task_id, release = self.waiting_task()
        try:
            for engine in (self.engine, Engine(self.engine.socket)):  # by the stream, and by GET
                with self.assertRaises(TimeoutError) as caught:
                    engine.get_result(task_id, 0.05)
                self.assertIsInstance(caught.exception, ResultTimeoutError)
        finally:
            release()
        self.assertEqual(self.engine.get_result(task_id, 60).data, "released")

    def test_result_can_be_had_twice_and_by_another_engine(self):
        task_id = self.engine.submit_task(Task.create(self.path("double"), {"value": 3}))
        with Engine(self.engine.socket) as other:
            self.assertEqual([e.get_result(task_id, 60).data for e in (self.engine, self.engine, other)], [6, 6, 6])

    def test_lost_connection_is_made_anew(self):
        task_id, release = self.waiting_task()
        self.engine._own().stream.close()
        self.assertEqual(self.run_script("double", {"value": 4}).data, 8)
        release()
        self.assertEqual(self.engine.get_result(task_id, 60).data, "released")

    def test_large_result_arrives_whole(self):
        self.assertEqual(len(self.run_script("large", 5_000_000).data), 5_000_000)

    def test_unknown_task_is_told(self):
        for task_id in (str(uuid.uuid4()), "banana/../x"):
            for ask in (self.engine.get_result, self.engine.cancel_task):
                with self.assertRaises(TaskNotFoundError):
                    ask(task_id)

    def test_one_task_submitted_by_many_threads_at_once_runs_once(self):
        task = Task.create(self.path("double"), {"value": 5})
        together = threading.Barrier(16)

        def work(_):
            together.wait()
            return self.engine.get_result(self.engine.submit_task(task), 60)
        with ThreadPoolExecutor(together.parties) as threads:
            results = list(threads.map(work, range(together.parties)))
        self.assertEqual([r.data for r in results], [10] * together.parties)
        self.assertEqual(len({r.finished_at for r in results}), 1)

    def test_cancelled_task_ends_as_cancelled(self):
        task_id = self.engine.submit_task(Task.create(self.path("loops"), task_type=TaskType.IO_BOUND))
        self.assertFalse(self.engine.cancel_task(task_id) is TaskStatus.COMPLETED)
        self.assertIs(self.engine.get_result(task_id, 60).status, TaskStatus.CANCELLED)
        self.assertIs(self.engine.cancel_task(task_id), TaskStatus.CANCELLED)

    def test_interrupt_while_waiting_loses_nothing(self):
        def interrupt(*_):
            raise KeyboardInterrupt

        before = signal.signal(signal.SIGALRM, interrupt)
        self.addCleanup(signal.signal, signal.SIGALRM, before)
        task_id, release = self.waiting_task()
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        self.assertRaises(KeyboardInterrupt, self.engine.get_result, task_id, 60)
        release()
        self.assertEqual(self.engine.get_result(task_id, 60).data, "released")

    def test_timeout_of_years_is_no_overflow(self):
        task_id, release = self.waiting_task()
        release()
        self.assertEqual(self.engine.get_result(task_id, 1e9).data, "released")

    def test_status_lists_components(self):
        status = self.engine.get_status()
        self.assertTrue(status["engine"]["is_running"])
        pool = ComponentStatus.from_dict("process_pool", status["components"]["process_pool"])
        self.assertTrue(pool.is_healthy, pool)
        self.assertGreater(pool.metrics["total_workers"], 0)


class WithoutDaemon(unittest.TestCase):
    def test_absent_daemon_is_named(self):
        with Engine("/nonexistent/cpulb.sock") as engine, self.assertRaises(ConnectionLostError) as caught:
            engine.submit_task(Task.create("x.py"))
        self.assertEqual(caught.exception.code, "no_daemon")
        self.assertIn("/nonexistent/cpulb.sock", str(caught.exception))

    def test_refusal_says_once_what_is_allowed(self):
        for detail in ('no pool is named "x"', 'no pool is named "x" (allowed: io)'):
            error = from_problem({"code": "invalid", "detail": detail, "allowed": ["io"]})
            self.assertEqual(str(error), 'no pool is named "x" (allowed: io)')

    def test_ids_are_version_7_and_paths_absolute(self):
        task = Task.create("x.py")
        self.assertEqual((uuid.UUID(task.task_id).version, uuid.UUID(task.task_id).variant), (7, uuid.RFC_4122))
        self.assertEqual(task.script_path, os.path.abspath("x.py"))


if __name__ == "__main__":
    unittest.main()
