"""Results that came from the daemon and are decoded when they are looked at."""

import copy
import dataclasses
import json
import pickle
import unittest

from cpu_load_balancer import ConnectionLostError, Result, TaskError, TaskStatus

TASK_ID = "0198c5f0-7d2a-7c3e-9b1f-0a1b2c3d4e5f"
WIRE = {"task_id": TASK_ID, "status": "failed", "data": {"value": [4, 2]},
        "error": {"type": "E", "message": "m", "code": "exception", "traceback": "t"}, "stdout": "o", "stderr": "e",
        "truncated": False, "attempts": 2,
        "worker": {"id": "cpu-0", "executor": "python", "pool": "cpu", "pid": 42, "core": 0, "slot": 0},
        "submitted_at": "2026-01-02T03:04:05.678Z", "started_at": "2026-01-02T03:04:05.679Z",
        "finished_at": "2026-01-02T03:04:05.680Z", "queue_seconds": 0.25, "run_seconds": 0.5, "cpu_seconds": 0.125,
        "lock_seconds": 0.0}
LINE = json.dumps(WIRE, separators=(",", ":")).encode()
LOOKS = ("task_id", "status", "data", "error", "worker", "lock_seconds", "is_success")


def fresh(line=LINE):
    """Return a Result that nobody has looked at, in the midst of a line."""
    return Result.from_json(b'{"event":"result","result":' + line + b"}", len(b'{"event":"result","result":'))


class Lazy(unittest.TestCase):
    def test_result_says_the_same_whatever_is_looked_at_first(self):
        whole = Result.from_dict(WIRE)
        for look in LOOKS:
            result = fresh()
            self.assertEqual(getattr(result, look), getattr(whole, look), look)
            self.assertEqual((result, repr(result), result.to_dict()), (whole, repr(whole), WIRE), look)
            self.assertEqual(vars(result), vars(whole), look)

    def test_result_of_success_says_the_same_whatever_is_looked_at_first(self):
        wire = WIRE | {"status": "completed", "error": None}
        whole = Result.from_dict(wire)
        for first in LOOKS:
            for second in LOOKS:
                result = fresh(json.dumps(wire, separators=(",", ":")).encode())
                for look in (first, second):
                    self.assertEqual(getattr(result, look), getattr(whole, look), (first, second))
                self.assertEqual((result, result.to_dict()), (whole, wire), (first, second))

    def test_error_is_read_with_its_data_or_without(self):
        for looks in (("data", "error"), ("error", "data"), ("error",), ("status", "error")):
            result = fresh()
            for look in looks:
                self.assertEqual(getattr(result, look), getattr(Result.from_dict(WIRE), look), looks)

    def test_result_that_is_not_looked_at_keeps_its_text_alone(self):
        result = fresh()
        self.assertEqual(result.task_id, TASK_ID)
        self.assertEqual(sorted(vars(result)), ["_raw", "task_id"])
        self.assertFalse(result.is_success)
        self.assertEqual(sorted(vars(result)), ["_raw", "status", "task_id"])

    def test_text_of_data_goes_once_data_is_there(self):
        result = fresh(LINE.replace(b"[4,2]", json.dumps("x" * 100_000).encode()))
        self.assertEqual(len(result.data["value"]), 100_000)
        self.assertLess(len(vars(result)["_raw"][0]), 1000)

    def test_copies_are_equal_whatever_was_looked_at(self):
        whole = Result.from_dict(WIRE)
        for look in LOOKS:
            for again in (lambda r: pickle.loads(pickle.dumps(r)), copy.copy, copy.deepcopy, dataclasses.replace):
                result = fresh()
                getattr(result, look)
                self.assertEqual(again(result), whole, look)
                self.assertEqual(result, whole, look)

    def test_pickling_does_not_decode(self):
        copied = pickle.loads(pickle.dumps(fresh()))
        self.assertEqual(sorted(vars(copied)), ["_raw", "task_id"])

    def test_what_the_caller_changes_stays_changed(self):
        result = fresh()
        result.stdout = "mine"
        result.data["value"].append(1)
        self.assertEqual(result.stderr, "e")
        self.assertEqual((result.stdout, result.data["value"]), ("mine", [4, 2, 1]))

    def test_results_made_here_are_as_ever(self):
        self.assertEqual(Result.success(TASK_ID, 3), Result(TASK_ID, TaskStatus.COMPLETED, 3))
        self.assertEqual(Result.failed(TASK_ID, ValueError("x")).error, TaskError("ValueError", "x"))
        self.assertEqual(Result(TASK_ID, TaskStatus.FAILED).worker, None)
        self.assertRaises(AttributeError, getattr, Result.success(TASK_ID, 3), "nothing")
        self.assertRaises(AttributeError, getattr, fresh(), "nothing")
        self.assertFalse(hasattr(fresh(), "__array__"))

    def test_another_order_and_more_fields_are_read(self):
        other = json.dumps(dict(reversed(WIRE.items())) | {"new": 1}).encode()
        self.assertEqual(fresh(other), Result.from_dict(WIRE))
        self.assertEqual(fresh(LINE[:-1] + b',"new":1}'), Result.from_dict(WIRE))
        self.assertEqual(fresh(LINE.replace(b'"data":{"value":[4,2]},', b'')).data, None)

    def test_text_that_can_not_be_read_is_told_to_who_looks(self):
        for bad in (LINE[:-45], LINE.replace(b'"failed"', b'"banana"'), LINE.replace(b"[4,2]", b"[4,,2]"),
                    LINE.replace(b'"o"', b'"\xff"'), LINE.replace(b'"attempts":2', b'"attempts"')):
            result = fresh(bad)
            self.assertEqual(result.task_id, TASK_ID)
            with self.assertRaises(ConnectionLostError) as caught:
                result.to_dict()
            self.assertEqual(caught.exception.code, "bad_answer")
            self.assertIn(TASK_ID, str(caught.exception))
        for bad in (b"[]", b"{}", b'{"task_id":1}', b"oops"):
            with self.assertRaises(ConnectionLostError):
                Result.from_json(bad)


if __name__ == "__main__":
    unittest.main()
