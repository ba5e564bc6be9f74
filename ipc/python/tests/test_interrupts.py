"""Interrupts at every moment at which Python lets one come: whoever is interrupted harms nobody else."""

import dis
import json
import os
import sys
import threading
import time
import unittest
import warnings
from functools import cache

import cpu_load_balancer
from cpu_load_balancer import ConnectionLostError, Engine, ResultTimeoutError, SubmissionError, Task
from fake import FakeDaemon, accepted_line, result_line

PACKAGE = os.path.dirname(cpu_load_balancer.__file__)
SECONDS = 30


class Interrupt(BaseException):
    """What a signal's handler raises."""


@cache
def moments(code):
    """Return where in code a signal's handler may run: at its beginning, after a call, and when it jumps back."""
    before = ["RESUME"] + [i.opname for i in dis.get_instructions(code)]
    return {i.offset for i, name in zip(dis.get_instructions(code), before)
            if name.startswith(("RESUME", "CALL", "JUMP_BACKWARD", "JUMP_ABSOLUTE"))}


def interrupts():
    raise Interrupt


def interrupted(call, at, handler=interrupts):
    """Make the call and interrupt it at the moments of these numbers by the handler. Return how many came about."""
    passed = came = 0

    def moment(frame, event, _):
        nonlocal passed, came
        if event == "opcode" and frame.f_lasti in moments(frame.f_code):
            passed += 1
            if passed in at:
                came += 1
                handler()
        return moment

    def enter(frame, *_):
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        frame.f_trace_opcodes = True
        return moment
    sys._getframe().f_trace_opcodes = True  # in Python 3.12 only then those of others are traced
    before = sys.gettrace()
    sys.settrace(enter)
    try:
        call()
    except (Interrupt, ResultTimeoutError, ConnectionLostError):
        pass
    finally:
        sys.settrace(before)
    return came


@unittest.skipIf(sys.version_info >= (3, 13), "this Python does not trace single instructions of a frame that is entered")
class Interrupts(unittest.TestCase):
    def setUp(self):
        self.lines = {}  # connection -> how many came
        kept = warnings.catch_warnings()
        kept.__enter__()
        self.addCleanup(kept.__exit__)
        warnings.simplefilter("ignore", ResourceWarning)  # one that comes while a socket is made leaves it to Python

    def answer(self, connection, command):
        """Refuse by the number of its line, or run."""
        task_id, params = command["task"]["task_id"], command["task"]["params"]
        self.lines[connection] = number = self.lines.get(connection, 0) + 1
        if params == "refuse":
            refusal = {"event": "rejected", "task_id": None, "line": number, "problem": {"code": "refused"}}
            connection.sendall(json.dumps(refusal).encode() + b"\n")
        else:
            connection.sendall((accepted_line(task_id) if command.get("ack", True) else b"") + result_line(task_id, params))

    def use(self, engine):
        """Submit what is refused and what is not, as another thread does, and return what goes wrong."""
        wrong = []

        def work():
            try:
                for call in (lambda t: engine.run_task(t, SECONDS), engine.submit_task):
                    with self.assertRaises(SubmissionError) as refused:
                        call(Task.create("/x.py", "refuse"))
                    self.assertEqual(refused.exception.code, "refused")
                self.assertEqual(engine.get_result(engine.submit_task(Task.create("/x.py", 1)), SECONDS).data, 1)
            except BaseException as error:
                wrong.append(repr(error))
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join(SECONDS / 10)
        return wrong or (["it waits"] if thread.is_alive() else [])

    def test_interrupt_at_any_moment_leaves_all_to_the_others(self):
        daemon = FakeDaemon(self, self.answer)

        def both(engine):
            engine.get_result(engine.submit_task(Task.create("/x.py", 2)), SECONDS)
        calls = {"run": lambda e: e.run_task(Task.create("/x.py", 2), SECONDS), "both": both,
                 "late": lambda e: e.run_task(Task.create("/x.py", 2), 0),
                 "first": lambda e: e.run_task(Task.create("/x.py", 2), SECONDS)}
        for name, call in calls.items():
            at, came = 0, 1
            while came:
                at += 1
                with Engine(daemon.path) as engine:
                    if name != "first":  # which connects
                        engine.run_task(Task.create("/x.py", 0), SECONDS)
                    came = interrupted(lambda: call(engine), (at, at + 1))
                    self.assertEqual((name, at, self.use(engine)), (name, at, []))
            self.assertGreater(at, 50, name)

    def test_interrupt_at_any_moment_leaves_an_iteration_as_it_is(self):
        daemon = FakeDaemon(self, self.answer)
        at, came = 0, 1
        while came:
            at += 7  # a part of the moments, another one each time
            tasks, got = [Task.create("/x.py", n) for n in range(3)], []
            with Engine(daemon.path) as engine, engine.as_completed(tasks, SECONDS) as results:
                came = interrupted(lambda: got.append(next(results).data), (at,))
                got += [r.data for r in results]
            # Who is interrupted between its end and the assignment loses what a call returns.
            self.assertEqual(len(set(got)), len(got), (at, got))
            self.assertGreaterEqual(len(got), 2, (at, got))
        self.assertGreater(at, 50)

    def test_interrupt_at_any_moment_of_a_map_has_what_was_sent_cancelled(self):
        sent, over = {}, {}

        def answer(connection, command):
            task_id = command.get("task_id") or command["task"]["task_id"]
            if command["op"] == "submit":
                sent[task_id] = command["task"]["params"]
                if sent[task_id][1] < 2:
                    over[task_id] = True
                    connection.sendall(result_line(task_id, 1))
            else:
                over[task_id] = True
        daemon = FakeDaemon(self, answer)
        at, came, began = 0, 1, time.monotonic()
        while came:
            at += 1 if at < 50 else 5
            with Engine(daemon.path) as engine:
                results = engine.map("/x.py", ((at, n) for n in range(6)), in_flight=4)
                came = interrupted(lambda: (next(results), next(results)), (at,))
                results.close()
        daemon.join()
        self.assertEqual({tuple(params) for task_id, params in sent.items() if task_id not in over}, set())
        self.assertGreater(at, 200)
        self.assertLess(time.monotonic() - began, SECONDS, "it waits where there is nothing to wait for")

    def test_handler_may_close_the_engine_at_any_moment(self):
        daemon = FakeDaemon(self, self.answer)

        def all_moments(wrong):
            at, came = 0, 1
            while came:
                at += 1
                with Engine(daemon.path) as engine:
                    came = interrupted(lambda: engine.run_task(Task.create("/x.py", 2), SECONDS), (at,), engine.close)
                    if came:
                        if engine._own().stream is not None:
                            wrong.append(at)
                        with self.assertRaises(ConnectionLostError) as closed:
                            engine.run_task(Task.create("/x.py", 2), SECONDS)
                        if closed.exception.code != "closed":
                            wrong.append((at, closed.exception.code))
            wrong.append(at)
        wrong = []
        thread = threading.Thread(target=all_moments, args=(wrong,), daemon=True)
        thread.start()
        thread.join(SECONDS)
        self.assertFalse(thread.is_alive(), "it waits for ever")
        self.assertEqual(len(wrong), 1, wrong)
        self.assertGreater(wrong[0], 50)


if __name__ == "__main__":
    unittest.main()
