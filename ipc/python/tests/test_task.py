"""Tasks and their ids."""

import copy
import dataclasses
import json
import os
import pickle
import threading
import unittest
import uuid

from cpu_load_balancer import SubmissionError, Task, TaskType
from cpu_load_balancer.ids import new_id


class Ids(unittest.TestCase):
    def test_ids_are_uuids_of_version_7_in_the_order_of_their_making(self):
        ids = [new_id() for _ in range(5000)]
        self.assertEqual(ids, sorted(ids))
        for made in ids:
            as_uuid = uuid.UUID(made)
            self.assertEqual((str(as_uuid), as_uuid.version, as_uuid.variant), (made, 7, uuid.RFC_4122))

    def test_threads_make_different_ids(self):
        made = []
        threads = [threading.Thread(target=lambda: made.extend([new_id() for _ in range(2000)])) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(set(made)), 16_000)

    def test_forked_child_does_not_share_its_parents_chance(self):
        new_id()  # there is some left now
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(writing, "".join(new_id()[19:] for _ in range(100)).encode())
            os._exit(0)
        os.close(writing)
        with open(reading, encoding="ascii") as pipe:
            theirs = pipe.read()
        os.waitpid(child, 0)
        ours = {new_id()[19:] for _ in range(100)}
        self.assertFalse(ours & {theirs[i:i + 17] for i in range(0, len(theirs), 17)})


class Tasks(unittest.TestCase):
    def test_text_says_what_to_dict_does(self):
        for options in ({}, {"timeout": 1.5}, {"pool": "p", "priority": 9}, {"labels": {"a": "b"}}, {"delay": 1},
                        {"task_type": "io_bound", "function": "f\"\n"}, {"durable": True, "env": {"A": "ü"}}):
            task = Task.create("x.py", {"n": [1.5, None, "ü\u2028"]}, **options)
            self.assertEqual(json.loads(task.to_json()), task.to_dict(), options)
            self.assertNotIn("\n", task.to_json())

    def test_equal_values_that_are_other_json_are_not_confused(self):
        said = [json.loads(Task.create("x.py", priority=p).to_json())["priority"] for p in (1, True, 1.0, 1)]
        self.assertEqual([repr(s) for s in said], ["1", "True", "1.0", "1"])

    def test_value_of_a_wrong_kind_is_left_for_the_daemon_to_refuse(self):
        self.assertEqual(json.loads(Task.create("x.py", pool=["p"]).to_json())["pool"], ["p"])

    def test_what_has_no_json_form_is_named(self):
        circle = []
        circle.append(circle)
        for params, reason in ((circle, "Circular"), ({1, 2}, "set is not JSON serializable"), (float("nan"), "Out of range")):
            with self.assertRaisesRegex(SubmissionError, reason) as refused:
                Task.create("x.py", params).to_json()
            self.assertEqual(refused.exception.code, "invalid_json")

    def test_created_task_is_the_same_as_one_that_is_made_of_its_fields(self):
        task = Task.create("/x.py", [1], TaskType.IO_BOUND, 3.0)
        made = Task(task.task_id, "/x.py", [1], TaskType.IO_BOUND, 3.0)
        self.assertEqual((task, repr(task), task.to_dict()), (made, repr(made), made.to_dict()))
        for again in (copy.deepcopy, dataclasses.replace, lambda t: pickle.loads(pickle.dumps(t))):
            self.assertEqual(again(task), task)
            self.assertEqual(json.loads(again(task).to_json()), task.to_dict())
        with self.assertRaises(dataclasses.FrozenInstanceError):
            task.pool = "p"
        self.assertRaises(TypeError, Task.create, "x.py", colour="red")
        self.assertRaises(ValueError, Task.create, "x.py", task_type="gpu_bound")


if __name__ == "__main__":
    unittest.main()
