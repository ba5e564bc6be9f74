"""What an Executor keeps account of, on workers that the test plays: who is given what, and who is stopped."""

import gc
import os
import threading
import unittest
import weakref
from unittest import mock

from cpu_load_balancer.futures import CallTimeoutError, Executor, keeper, wire
from cpu_load_balancer.futures.turn import OUTBOX_HEADER
from played import SECONDS, Played


class LateLock:
    """A lock before which another thread comes, once."""

    def __init__(self, lock, other):
        self.lock, self.others = lock, [other]

    def __enter__(self):
        while self.others:
            self.others.pop()()
        self.lock.acquire()

    def __exit__(self, *_):
        self.lock.release()


class Books(Played):
    def test_call_that_is_given_back_counts_for_no_worker(self):
        for back in ("given back", "cancelled before", "not to be sent"):
            with self.subTest(back):
                self.numbers = 0
                self.keep(calls_each=3)
                calls = self.submit(1)
                self.keeper._look()
                self.arrive()
                if back == "cancelled before":
                    with mock.patch.object(self.pool, "feed"):
                        calls += self.submit(1)
                    self.assertTrue(calls[1].cancel())
                    self.pool.feed(self.carrier())
                elif back == "not to be sent":
                    self.function.number, self.function.call = 1, lambda: 1  # which pickles have no name for
                    calls += self.submit(1)
                    self.function.number = 0
                    self.assertIsNotNone(calls[1].exception(0))
                else:
                    calls += self.submit(1)
                self.keeper._given_back(self.carrier(), [2])
                self.run_calls([1])
                more = self.submit(3)
                while any(not call.done() for call in calls + more) and self.taken():
                    self.assertLessEqual(self.carrier().ran + len(self.taken()), 3)
                    self.run_calls(self.taken())
                self.assertEqual(self.carrier().ran, 3)
                self.assertEqual(len(self.pool.pending), len(calls) + len(more) - 3 - (back != "given back"))

    def test_nothing_is_kept_of_calls_with_a_timeout_that_have_ended_and_nobody_is_woken_for_them(self):
        self.keep()
        calls = self.submit(1, timeout=3600)
        self.keeper._look()
        self.arrive()
        self.run_calls(self.taken())
        self.keeper._wait_seconds()
        with mock.patch.object(self.pool.bell, "ring") as ring:
            for _ in range(50):
                calls += self.submit(1, timeout=3600)
                self.run_calls(self.taken())
        ring.assert_not_called()
        for ends in (lambda call: call.cancel(), lambda call: call.fail(ValueError()), lambda call: self.keeper._given_back(self.carrier(), [call.number])):
            calls += self.submit(1, timeout=3600)
            ends(calls[-1])
            self.keeper._look()
            self.pool.feed_idle()
            self.run_calls(self.taken())
        kept = list(map(weakref.ref, calls))
        del calls
        self.assertEqual([call() for call in kept if call() is not None], [])

    def test_call_with_a_timeout_waits_for_no_other_in_its_worker(self):
        self.keep()
        self.submit(1, timeout=10)
        self.keeper._look()
        self.arrive()
        with mock.patch.object(self.pool, "feed"):
            self.submit(3, timeout=10)
        self.pool.lock = LateLock(self.pool.lock, lambda: self.pool.feed(self.carrier()))
        self.run_calls([1])
        self.assertEqual(self.taken(), [2])
        with mock.patch.object(keeper.time, "monotonic", return_value=keeper.time.monotonic() + 9):
            self.keeper._look()
            self.run_calls([2])
            self.assertEqual(self.taken(), [3])
        with mock.patch.object(keeper.time, "monotonic", return_value=keeper.time.monotonic() + 18):
            self.keeper._look()
        self.assertFalse(self.carrier().outstanding[3].done())

    def test_call_that_runs_for_longer_than_its_timeout_is_stopped_once(self):
        self.keep()
        calls = self.submit(1, timeout=10)
        self.keeper._look()
        _, control, _ = self.arrive()
        now = keeper.time.monotonic()
        self.assertLessEqual(self.keeper._wait_seconds(), 10)
        with mock.patch.object(keeper.time, "monotonic") as clock:
            for later in (11, 11.1):
                clock.return_value = now + later
                self.keeper._look()
        self.assertIsInstance(calls[0].exception(0), CallTimeoutError)
        self.assertEqual(control.recv(1000), wire.frame(wire.STOP, 1))

    def stop_second_of(self, running):
        """Cancel the second of three calls while the worker runs the one of that number and answers nothing."""
        self.keep()
        calls = self.submit(1)
        self.keeper._look()
        _, _, outbox = self.arrive()
        calls += self.submit(2)
        self.assertEqual(self.taken(), [1, 2, 3])
        os.pwrite(outbox, OUTBOX_HEADER.pack(running, 0, 0), 0)
        self.assertTrue(calls[1].cancel())
        self.keeper._look()
        now = keeper.time.monotonic()
        with mock.patch.object(keeper.time, "monotonic") as clock:
            for later in (1, 10, 100):
                clock.return_value = now + later
                self.keeper._look()
        return OUTBOX_HEADER.unpack(os.pread(outbox, OUTBOX_HEADER.size, 0))[2]

    def test_cancelled_call_that_has_not_begun_stops_nobody_however_long_the_worker_says_nothing(self):
        barred = self.stop_second_of(running=1)
        self.assertEqual((self.tasks.cancelled, barred), ([], 0))

    def test_cancelled_call_that_holds_the_interpreter_is_stopped_and_none_begins_behind_it(self):
        barred = self.stop_second_of(running=2)
        self.assertEqual((self.tasks.cancelled, barred), ([1], 1))

    def test_executor_that_is_collected_where_the_lock_of_its_calls_is_held_ends_when_these_have(self):
        self.keep()
        call, = self.submit(1)
        with mock.patch.object(Executor, "_open", lambda executor, *_: executor.__dict__.update(_pool=self.pool)):
            executor = Executor(1)
        executor.itself = executor
        del executor
        self.pool.bell.hush()

        def collect():
            with self.pool.lock:
                gc.collect()
        thread = threading.Thread(target=collect, daemon=True)
        thread.start()
        thread.join(SECONDS)
        self.assertFalse(thread.is_alive(), "it waits for what its own thread holds")
        self.assertRaisesRegex(RuntimeError, "the executor is gone", self.submit, 1)
        self.assertIn(self.pool.bell.descriptor, [descriptor for descriptor, _ in self.pool.poll.poll(0)])
        self.assertFalse(self.keeper._is_over())
        self.keeper._look()
        self.arrive()
        self.run_calls([1])
        self.assertTrue(call.done() and self.keeper._is_over())


if __name__ == "__main__":
    unittest.main()
