"""Waits for calls: one ends when what is waited for is there, whatever wakes the thread."""

import concurrent.futures
import os
import unittest
from concurrent.futures import Future
from unittest import mock

from cpu_load_balancer.futures import condition, wire
from cpu_load_balancer.futures.call import Call
from cpu_load_balancer.futures.function import Function

SECONDS = 60


class Waits(unittest.TestCase):
    """A wait ends when what is waited for is there, whatever wakes the thread."""

    def setUp(self):
        self.call = Call(1, wire.CALL, Function(0, None), (), {}, None)
        self.call.begin()

    def wait_and(self, wake):
        """Have a thread wait for the call with wake(its sleeper) while it sleeps, and return what it gets."""
        with concurrent.futures.ThreadPoolExecutor(1) as thread:
            got = thread.submit(Future.result, self.call)
            try:
                while not self.call._condition.asleep():
                    self.assertFalse(got.done())
                wake(self.call._condition.asleep()[0])
                self.assertRaises(concurrent.futures.TimeoutError, got.result, 0.02)
                self.assertFalse(got.done())
            finally:
                self.call.complete("value")
            return got.result(SECONDS)

    def test_thread_that_is_woken_to_look_around_waits_on(self):
        self.assertEqual(self.wait_and(lambda sleeper: self.call.wake()), "value")

    def test_ring_that_comes_late_wakes_nobody_for_good(self):
        def late(sleeper):
            os.eventfd_write(sleeper.descriptor, 1)
        self.assertEqual(self.wait_and(late), "value")

    def test_lock_in_the_place_of_a_descriptor_does_the_same(self):
        with mock.patch.object(condition, "_Sleeper", side_effect=OSError):
            self.assertEqual(self.wait_and(lambda sleeper: (sleeper.ring(), sleeper.ring())), "value")

    def test_two_that_ring_at_the_same_time_harm_nobody(self):
        sleeper = condition._LockSleeper()
        sleeper._lock = mock.Mock(**{"locked.return_value": True, "release.side_effect": RuntimeError("release unlocked lock")})
        sleeper.ring()

    def test_forked_process_wakes_none_of_its_parents_threads(self):
        with self.call._condition:
            self.call._condition.rise(self.call._condition.lay_down())
        own = condition._sleeper()
        child = os.fork()
        if child == 0:
            os._exit(condition._sleeper() is own)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)


if __name__ == "__main__":
    unittest.main()
