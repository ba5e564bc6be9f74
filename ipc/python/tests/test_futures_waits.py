"""Waits for calls: one ends when what is waited for is there, whatever wakes the thread."""

import concurrent.futures
import os
import threading
import unittest
from concurrent.futures import Future
from unittest import mock

from cpu_load_balancer.futures import Executor, condition, wire
from cpu_load_balancer.futures.call import Call
from cpu_load_balancer.futures.function import Function
from played import Played

BIN = os.environ.get("CPULB_BIN") or os.path.join(os.path.dirname(__file__), "../../../bin")
SECONDS = 60

unpickling = []  # threads that do
goes_on = threading.Event()


class Slow:
    """Takes long to unpickle where it was asked for."""

    def __init__(self, pid):
        self.pid = pid

    def __reduce__(self):
        return slowly, (self.pid,)


def slowly(pid):
    if pid == os.getpid():
        unpickling.append(threading.current_thread())
        goes_on.wait(SECONDS)
    return "value"


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

    def test_wait_that_is_too_long_for_one_sleep_goes_on(self):
        with mock.patch.object(condition, "_LONGEST_MILLISECONDS", 1):
            for timeout in (SECONDS, float("inf")):
                self.setUp()
                with concurrent.futures.ThreadPoolExecutor(1) as thread:
                    got = thread.submit(self.call.result, timeout)
                    self.assertRaises(concurrent.futures.TimeoutError, got.result, 0.05)
                    self.call.complete("value")
                    self.assertEqual(got.result(SECONDS), "value")
            self.setUp()
            self.assertRaises(concurrent.futures.TimeoutError, self.call.result, 0.01)

    def test_forked_process_wakes_none_of_its_parents_threads(self):
        with self.call._condition:
            self.call._condition.rise_locked(self.call._condition.lay_down_locked())
        own = condition._sleeper()
        child = os.fork()
        if child == 0:
            os._exit(condition._sleeper() is own)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)


class Bounded(unittest.TestCase):
    def test_time_is_over_though_a_result_takes_longer_to_unpickle(self):
        with Executor(1, bin_dir=BIN) as executor:
            call = executor.submit(Slow, os.getpid())
            self.addCleanup(goes_on.set)
            while not unpickling:
                self.assertRaises(concurrent.futures.TimeoutError, call.result, 0.01)
            self.assertRaises(concurrent.futures.TimeoutError, call.result, 0.01)
            goes_on.set()
            self.assertEqual(call.result(SECONDS), "value")
            self.assertNotIn(threading.current_thread(), unpickling)


class CalledBack(Played):
    def setUp(self):
        super().setUp()
        self.keep()
        self.called = []
        calls = self.submit(2)
        self.keeper._look()
        self.arrive()
        for call in calls:
            call.add_done_callback(lambda call: self.called.append((call.number, threading.current_thread())))
        executors = concurrent.futures.ThreadPoolExecutor(1)  # for the executor's thread
        self.addCleanup(executors.shutdown)
        self.there = lambda work: executors.submit(work).result(SECONDS)
        self.there(self.pool.callbacks.begin)
        self.run_calls([1])
        self.assertEqual((calls[0].result(0), self.called), (None, []))

    def test_done_callbacks_are_for_the_executors_thread_whoever_reads_results(self):
        self.run_calls([2])
        self.assertEqual(self.called, [])
        self.there(self.keeper._look)
        thread = self.there(threading.current_thread)
        self.assertEqual(self.called, [(1, thread), (2, thread)])

    def test_callbacks_that_are_left_to_a_thread_that_ends_are_called_and_later_ones_at_once(self):
        self.there(self.pool.callbacks.end)
        thread = self.there(threading.current_thread)
        self.run_calls([2])
        self.assertEqual(self.called, [(1, thread), (2, threading.current_thread())])


if __name__ == "__main__":
    unittest.main()
