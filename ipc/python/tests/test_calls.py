"""Batches, lists, events and the like against a real, private daemon."""

import os
import tempfile
import unittest
from datetime import datetime, timedelta, timezone

from cpu_load_balancer import ConnectionLostError, Engine, SubmissionError, Task, TaskNotFoundError, TaskStatus

BIN = os.environ.get("CPULB_BIN") or os.path.join(os.path.dirname(__file__), "../../../bin")
UNKNOWN = "01890000-0000-7000-8000-000000000000"
SCRIPT = """
import time
def main(params, context):
    context.log.info("begun")
    context.progress(0.5, "half way")
    if params.get("fail"):
        raise ValueError(params["fail"])
    while params.get("hold") and not context.cancelled:
        time.sleep(0.001)
    return params
"""


def depth(value):
    deep = 0
    while isinstance(value, list):
        value, deep = value[0] if value else None, deep + 1
    return deep


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

    def task(self, params=None, **options):
        return Task.create(self.script, params, "io_bound", **options)

    def test_batch_is_submitted_and_its_results_come_as_tasks_end(self):
        tasks = [self.task({"hold": True}), Task.create("/missing.py"), self.task({"n": 2})]
        batch = self.engine.submit_batch(tasks)
        self.assertEqual(batch.task_ids, [tasks[0].task_id, None, tasks[2].task_id])
        self.assertEqual({place: e.code for place, e in batch.errors.items()}, {1: "script_not_found"})
        self.assertIsInstance(batch.errors[1], SubmissionError)
        results = self.engine.batch_results(batch.batch_id, 60)
        self.assertEqual(next(results).data, {"n": 2})
        self.assertFalse(self.engine.get_batch(batch.batch_id)["done"])
        self.assertEqual(self.engine.cancel_tasks(batch_id=batch.batch_id), 1)
        self.assertEqual([r.task_id for r in results], [tasks[0].task_id])
        self.assertTrue(self.engine.get_batch(batch.batch_id)["done"])

    def test_params_and_results_nest_as_deep_as_the_daemon_takes_them(self):
        nested = []
        for _ in range(998):
            nested = [nested]
        task = self.task({"n": nested})
        self.assertEqual(depth(self.engine.get_result(self.engine.submit_task(task)).data["n"]), 999)
        batch = self.engine.submit_batch([self.task({"n": nested})])
        self.assertEqual([depth(r.data["n"]) for r in self.engine.batch_results(batch.batch_id, 60)], [999])
        with self.assertRaises(SubmissionError) as refused:
            self.engine.submit_task(self.task({"n": [nested]}))
        self.assertEqual(refused.exception.code, "invalid_json")

    def test_what_the_daemon_refuses_is_refused_by_name(self):
        for options in ({"labels": {"a": "\ud800"}}, {"idempotency_key": "\udfff"}, {"function": "\ud800"}):
            with self.assertRaises(SubmissionError) as refused:
                self.engine.submit_task(self.task(**options))
            self.assertIn(next(iter(options)), str(refused.exception))
        with self.assertRaises(SubmissionError):
            self.engine.submit_task(self.task({"n": float("inf")}))

    def test_no_result_in_time_is_told(self):
        batch = self.engine.submit_batch([self.task({"hold": True})])
        with self.assertRaises(TimeoutError):
            next(self.engine.batch_results(batch.batch_id, 0.01))
        self.engine.cancel_tasks(batch_id=batch.batch_id)

    def test_events_are_followed_and_taken_up_again(self):
        task_id = self.engine.submit_task(self.task({"n": 3}))
        self.engine.get_result(task_id)
        events = list(self.engine.events(task_id, timeout=600))
        kinds = [e.event for e in events]
        self.assertEqual((kinds[-1], kinds.count("progress"), kinds.count("log")), ("result", 1, 1))
        progress = events[kinds.index("progress")]
        self.assertEqual((progress.fraction, progress.message), (0.5, "half way"))
        self.assertEqual(events[-1].result.data, {"n": 3})
        again = list(self.engine.events(task_id, after=progress.cursor, timeout=600))
        self.assertEqual(again, events[kinds.index("progress") + 1:])

    def test_tasks_are_listed_and_cancelled_by_label(self):
        ids = [self.engine.submit_task(self.task({"hold": i < 2}, labels={"test": "a=b c", "i": str(i)})) for i in range(3)]
        self.engine.get_result(ids[2])
        self.assertEqual([t.task_id for t in self.engine.list_tasks(labels={"test": "a=b c"})], ids)
        ended = list(self.engine.list_tasks(TaskStatus.COMPLETED, {"test": "a=b c"}))
        self.assertEqual([(t.task_id, t.status, t.labels["i"]) for t in ended], [(ids[2], TaskStatus.COMPLETED, "2")])
        self.assertEqual(self.engine.cancel_tasks(labels={"test": "a=b c"}), 2)
        self.assertIs(self.engine.get_result(ids[0]).status, TaskStatus.CANCELLED)
        self.assertIs(self.engine.get_task(ids[0]).status, TaskStatus.CANCELLED)
        self.assertRaises(ValueError, self.engine.cancel_tasks)
        self.assertRaises(ValueError, self.engine.cancel_tasks, "asleep")

    def test_task_is_run_again(self):
        first = self.engine.submit_task(self.task({"n": 4}))
        second = self.engine.rerun_task(first)
        self.assertNotEqual(first, second)
        self.assertEqual(self.engine.get_result(second).data, {"n": 4})

    def test_second_task_with_the_same_key_is_the_first(self):
        first = self.engine.submit_task(self.task({"n": 5}, idempotency_key="k"))
        second = self.engine.submit_task(self.task({"n": 5}, idempotency_key="k"))
        self.assertEqual(first, second)
        self.assertEqual(self.engine.get_result(second).data, {"n": 5})

    def test_failed_attempt_is_followed_by_another(self):
        result = self.engine.get_result(self.engine.submit_task(self.task({"fail": "x"}, max_retries=1, retry_backoff=0.001)))
        self.assertEqual((result.status, result.attempts), (TaskStatus.FAILED, 2))

    def test_expired_task_does_not_run(self):
        past = datetime.now(timezone.utc) - timedelta(hours=1)
        result = self.engine.get_result(self.engine.submit_task(self.task(expires_at=past)))
        self.assertEqual((result.error.code, result.attempts), ("expired", 0))
        with self.assertRaises(SubmissionError):
            self.task(run_at=datetime(2030, 1, 1)).to_json()

    def test_schedules_are_listed(self):
        self.assertEqual(self.engine.get_schedules(), [])

    def test_unknown_is_told(self):
        for ask in (lambda: list(self.engine.batch_results(UNKNOWN)), lambda: self.engine.get_batch("banana"),
                    lambda: list(self.engine.events(UNKNOWN)), lambda: self.engine.rerun_task(UNKNOWN)):
            self.assertRaises(TaskNotFoundError, ask)

    def test_end_of_the_daemon_is_no_end_of_the_events(self):
        with Engine.private(BIN) as engine:
            task_id = engine.submit_task(self.task({"hold": True}))
            events = engine.events(task_id, timeout=600)
            next(events)
            os.kill(engine.daemon_pid, 9)
            with self.assertRaises(ConnectionLostError):
                list(events)


if __name__ == "__main__":
    unittest.main()
