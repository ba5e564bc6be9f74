"""What bounds a call, or how many are under way, is looked at where it is given, and infinity bounds nothing."""

import asyncio
import unittest
from fractions import Fraction

from cpu_load_balancer import AsyncEngine, Engine, SubmissionError, Task, bounds
from fake import FakeDaemon, accepted_line, result_line

ID = "01890000-0000-7000-8000-000000000000"
NAN, INF = float("nan"), float("inf")
WRONG = (("5", TypeError), (True, TypeError), ([5], TypeError), (5j, TypeError), (NAN, ValueError), (-0.5, ValueError), (-INF, ValueError))
UNBOUNDED = (None, INF, 1e300, 10**400)


def timed(engine):
    """Yield the calls that take a timeout."""
    yield lambda timeout: engine.get_result(ID, timeout)
    yield lambda timeout: engine.run_task(Task.create("/x.py"), timeout)
    yield lambda timeout: engine.events(ID, timeout=timeout)
    yield lambda timeout: engine.batch_results(ID, timeout)
    yield lambda timeout: engine.map("/x.py", [1], timeout=timeout)
    yield lambda timeout: engine.as_completed([ID], timeout)


class Bounds(unittest.TestCase):
    def assert_refuses(self, name, call):
        """Have call refuse all that is wrong, and return that it does."""
        for value, error in WRONG:
            with self.subTest(value=value):
                self.assertRaisesRegex(error, f"^{name} must be .*, not {value!r}".replace("[", r"\[").replace("(", r"\("), call, value)

    def test_what_can_not_be_a_timeout_is_refused_at_the_call(self):
        with Engine("/nowhere") as engine:
            for call in timed(engine):
                self.assert_refuses("timeout", call)
        self.assert_refuses("reconnect", lambda seconds: Engine("/nowhere", seconds))

    def test_asynchronous_calls_refuse_the_same(self):
        async def check():
            async with AsyncEngine("/nowhere") as engine:
                for call in timed(engine):
                    for value, error in WRONG:
                        with self.subTest(value=value), self.assertRaisesRegex(error, "^timeout must be .*, not "):
                            called = call(value)
                            if asyncio.iscoroutine(called):
                                await called
        asyncio.run(check())
        self.assert_refuses("reconnect", lambda seconds: AsyncEngine("/nowhere", seconds))

    def test_in_flight_is_a_whole_number(self):
        for engine in (Engine("/nowhere"), AsyncEngine("/nowhere")):
            for value in (1.5, "2", True, None):
                self.assertRaisesRegex(TypeError, "in_flight must be a whole number, not ", engine.map, "/x.py", [1], in_flight=value)
            self.assertRaisesRegex(ValueError, "in_flight must be at least 1, not 0", engine.map, "/x.py", [1], in_flight=0)

    def test_whatever_is_a_number_is_taken(self):
        self.assertEqual([bounds.seconds(value, "x") for value in (0, 2, 0.5, Fraction(1, 2), *UNBOUNDED)], [0, 2, 0.5, 0.5] + [None] * 4)

    def test_infinity_bounds_nothing(self):
        def answer(connection, command):
            task_id = command["task"]["task_id"] if "task" in command else command["task_id"]
            connection.sendall(accepted_line(task_id) + result_line(task_id, 1))
        for value in UNBOUNDED:
            with Engine(FakeDaemon(self, answer).path, reconnect=value) as engine:
                self.assertEqual(engine.run_task(Task.create("/x.py"), value).data, 1)
                self.assertEqual([r.data for r in engine.map("/x.py", [1], timeout=value)], [1])
                self.assertEqual([r.data for r in engine.as_completed([ID], value)], [1])

    def test_duration_of_a_task_that_is_none_is_refused_by_its_name(self):
        for name in ("timeout", "delay", "retry_backoff", "result_ttl"):
            for value in ("5", True, NAN, INF):
                with self.assertRaisesRegex(SubmissionError, f"^{name} must be a number of seconds.*, not {value!r}") as raised:
                    Task.create("/x.py", **{name: value}).to_json()
                self.assertEqual(raised.exception.code, "invalid_task")


if __name__ == "__main__":
    unittest.main()
