"""What an Executor keeps account of, on workers that the test plays: who is given what, and who is stopped."""

import concurrent.futures
import contextlib
import os
import pickle
import resource
import select
import socket
import sys
import threading
import types
import unittest
import weakref
from collections import deque
from concurrent.futures import Future
from unittest import mock

from cpu_load_balancer.futures import CallTimeoutError, TransferError, condition, keeper, memory, wire
from cpu_load_balancer.futures.call import Call
from cpu_load_balancer.futures.carrier import Carrier
from cpu_load_balancer.futures.door import Arrival
from cpu_load_balancer.futures.function import Function
from cpu_load_balancer.futures.pool import Options, Pool
from cpu_load_balancer.futures.tasks import Ended
from cpu_load_balancer.futures.turn import BARRED_AT, OUTBOX_HEADER, Turn

SECONDS = 60
VERSION = "%d.%d" % sys.version_info[:2]


class PlayedTasks:
    """Tasks of the daemon that only exist in the test's mind."""

    def __init__(self):
        self.ended, self.started, self.cancelled = deque(), 0, []

    def start(self):
        self.started += 1

    def cancel(self, number):
        self.cancelled.append(number)


class Exits:
    """Raises error when it is pickled, or when it is unpickled."""

    def __init__(self, error, unpickled=0):
        self.error, self.unpickled = error, unpickled

    def __reduce__(self):
        if not self.unpickled:
            raise self.error("of the call")
        return exits, (self.error,)


def exits(error):
    raise error("of the call")


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


class Books(unittest.TestCase):
    def setUp(self):
        self.numbers = 0
        self.function = Function(0, None)
        self.function.nanoseconds = 1000

    def keep(self, workers=1, calls_each=0):
        """Have a pool and its keeper, whose thread does not run."""
        self.pool = Pool(Options(workers, dumps=None, calls_each=calls_each))
        door = types.SimpleNamespace(descriptor=os.eventfd(0), open=None, arrived=deque())
        self.addCleanup(os.close, door.descriptor)
        self.addCleanup(self.pool.bell.close)
        self.addCleanup(self.pool.poll.close)
        self.tasks = PlayedTasks()
        self.keeper = keeper.Keeper(self.pool, door, self.tasks, lambda: None)
        self.door = door

    def arrive(self, number=1):
        """Have a worker connect; return its ends of its connections, and its outbox."""
        ends = []
        outbox = self.outbox = os.memfd_create("outbox")
        self.addCleanup(os.close, outbox)
        os.ftruncate(outbox, OUTBOX_HEADER.size + 100)
        for what in ("calls", "control"):
            ours, theirs = socket.socketpair()
            theirs.settimeout(SECONDS)
            self.addCleanup(ours.close)
            self.addCleanup(theirs.close)
            ends.append(theirs)
            self.door.arrived.append(Arrival(what, number, os.getpid(), VERSION, ours, os.dup(outbox) if what == "calls" else -1))
        self.keeper._look()
        return (*ends, outbox)

    def submit(self, count, timeout=None):
        calls = []
        for _ in range(count):
            self.numbers += 1
            calls.append(Call(self.numbers, wire.CALL, self.function, (pow, 2, 3), {}, timeout))
            calls[-1].payload = b"call"
            self.pool.add(calls[-1])
        for carrier in self.pool.carriers.values():
            self.pool.feed(carrier)
        return calls

    def carrier(self):
        """Return the only one that there is."""
        (carrier,) = self.pool.carriers.values()
        return carrier

    def taken(self):
        return list(self.carrier().outstanding)

    def run_calls(self, numbers):
        """Have calls return None."""
        self.carrier().receive([(wire.RESULT, number, 1000, b"N.", -1) for number in numbers])
        self.pool.feed(self.carrier())

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

    def handle(self, connection, events=select.EPOLLIN):
        """Have the keeper's thread do what it does when connection can be read."""
        self.keeper._handlers[connection.fileno()](events)
        self.keeper._look()

    def test_result_for_whose_memory_there_is_no_descriptor_fails_alone(self):
        self.keep()
        calls = self.submit(1)
        self.keeper._look()
        theirs, _, _ = self.arrive()
        calls += self.submit(3)
        for number in (1, 2, 3, 4):
            payload, descriptor = memory.encode("x" * (100_000 if number != 3 else 1))
            wire.send_all(theirs, wire.frame(wire.RESULT, number, 1, payload, descriptor >= 0), descriptor)
            if descriptor >= 0:
                os.close(descriptor)
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        free = os.dup(0)
        os.close(free)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
            self.handle(self.carrier().calls)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        while not calls[3].done():
            self.handle(self.carrier().calls)
        self.assertIsInstance(calls[0].exception(0), TransferError)
        self.assertIn("Too many open files", str(calls[0].exception(0)))
        self.assertEqual([len(call.result(0)) for call in calls[1:]], [100_000, 1, 100_000])

    def test_worker_whose_words_make_no_sense_is_replaced_and_nothing_else_ends(self):
        garbage = (0, wire.frame(wire.RESULT, 1, 1, b"", True) + wire.frame(wire.RESULT, 7)), (1, wire.frame(wire.GIVEN_BACK, 0, 0, b"odd"))
        for end, words in (*garbage, (2, OUTBOX_HEADER.pack(1, 1 << 40, 0) + b"x" * 30)):
            with self.subTest(end=end), self.assertLogs("concurrent.futures") if end == 1 else contextlib.nullcontext():
                self.numbers = 0
                self.keep()
                self.tasks.name = "task-{}".format
                calls = self.submit(1)
                self.keeper._look()
                *ends, outbox = self.arrive()
                calls += self.submit(2)
                ours = self.carrier().calls, self.carrier().control
                if end == 2:
                    os.pwrite(outbox, words, 0)
                    ends[0].close()
                    self.handle(ours[0])
                else:
                    ends[end].sendall(words)
                    self.handle(ours[end])
                self.arrive(2)
                calls += self.submit(1)
                self.keeper._ended(Ended(1, "task-1", "died"))
                while self.taken():
                    self.run_calls(self.taken())
                self.assertEqual((self.keeper.broken, [call.done() for call in calls]), ("", [True] * 4))
                self.assertIsNone(calls[3].exception(0))

    def test_what_there_is_no_descriptor_or_thread_for_is_tried_again(self):
        self.keep()
        self.submit(1)
        start = self.tasks.start
        for error in (RuntimeError("can't start new thread"), MemoryError(), OSError(24, "Too many open files")):
            self.tasks.start = mock.Mock(side_effect=error)
            self.keeper._short_until = 0.0
            self.keeper._look()
            self.assertLess(self.keeper._wait_seconds(), 1)
        self.tasks.start = start
        self.keeper._short_until = keeper.time.monotonic() - 1
        self.keeper._look()
        self.assertEqual((self.tasks.started, self.pool.starting), (1, 1))
        with mock.patch("mmap.mmap", side_effect=OSError(24, "Too many open files")):
            theirs, _, _ = self.arrive()
        self.assertEqual(theirs.recv(1), b"")
        for _ in range(5):
            self.keeper._ended(Ended(1, "task-1", ""))
        self.assertEqual((self.keeper.broken, self.pool.carriers), ("", {}))

    def test_call_that_can_not_be_stopped_now_is_stopped_later(self):
        self.keep()
        calls = self.submit(1)
        self.keeper._look()
        _, control, _ = self.arrive()
        calls[0].cancel()
        self.keeper._look()
        control.sendall(wire.frame(wire.RUNNING, 1))
        with mock.patch.object(self.tasks, "cancel", side_effect=RuntimeError("can't start new thread")):
            self.handle(self.carrier().control)
        os.pwrite(self.outbox, OUTBOX_HEADER.pack(1, 0, 0), 0)
        with mock.patch.object(keeper.time, "monotonic", return_value=keeper.time.monotonic() + 10):
            self.keeper._look()
        self.assertEqual(self.tasks.cancelled, [1])

    def test_whatever_calls_raise_where_it_is_not_expected_ends_no_thread(self):
        for error in (KeyboardInterrupt, SystemExit, GeneratorExit):
            with self.subTest(error):
                self.numbers = 0
                self.keep()
                calls = self.submit(1)
                self.keeper._look()
                self.arrive()
                calls += self.submit(1)
                calls[0].add_done_callback(mock.Mock(side_effect=error))
                calls.append(Call(3, wire.CALL, self.function, (Exits(error),), {}, None))
                results = [(wire.RESULT, 1, 1, b"N.", -1), (wire.RESULT, 2, 1, pickle.dumps(Exits(error, 1)), -1)]
                with concurrent.futures.ThreadPoolExecutor(1) as thread, self.assertLogs("concurrent.futures"):
                    self.pool.options.dumps = pickle.dumps
                    thread.submit(self.carrier().receive, results).result(SECONDS)
                    thread.submit(lambda: (self.pool.add(calls[2]), self.pool.feed(self.carrier()))).result(SECONDS)
                self.assertIsNone(calls[0].result(0))
                self.assertIsInstance(calls[1].exception(0), TransferError)
                self.assertIsInstance(calls[2].exception(0), error)

    def test_thread_that_feeds_a_worker_at_its_end_leaves_its_connections_to_who_reads_it_out(self):
        self.keep()
        calls = self.submit(1)
        self.keeper._look()
        ends = self.arrive()
        carrier = self.carrier()
        self.run_calls([1])
        carrier.resting, carrier.feeding = False, threading.get_ident()
        self.pool.idle.clear()
        real, self.pool.poll = self.pool.poll, mock.Mock(wraps=self.pool.poll)
        self.pool.poll.unregister.side_effect = lambda connection: (real.unregister(connection), carrier.feeding and carrier.feed())
        for end in ends[:2]:
            end.close()
        self.handle(carrier.control)
        self.assertEqual((self.keeper.broken, self.pool.carriers, calls[0].result(0)), ("", {}, None))

    def test_carrier_that_a_restarted_daemon_runs_again_is_replaced_once(self):
        for seen in (True, False):
            with self.subTest(keeper_saw_the_end=seen):
                self.numbers = 0
                self.keep()
                self.tasks.name = "task-{}".format
                calls = self.submit(2)
                self.keeper._look()
                *ends, outbox = self.arrive()
                os.pwrite(outbox, OUTBOX_HEADER.pack(1, 0, 0), 0)
                for end in ends:
                    end.close()
                if seen:
                    self.keeper._answers(self.carrier())
                again, _, _ = self.arrive()
                self.assertEqual(again.recv(1), b"", "it is turned away")
                self.assertEqual((len(self.pool.carriers), self.pool.starting, self.tasks.started), (0, 1, 2))
                self.assertRegex(str(calls[0].exception(0)), "task-1.*daemon ended")
                self.keeper._ended(Ended(1, "task-1", "the resent one has failed", True))
                self.assertEqual((self.keeper.broken, self.pool.starting), ("", 1))
                self.arrive(2)
                self.assertEqual((len(self.pool.carriers), self.pool.starting, self.taken()), (1, 0, [2]))


class Cancelled(BaseException):
    pass


class Turns(unittest.TestCase):
    """What a worker does with what the test sends it."""

    def begin(self):
        """Return a turn, and the Executor's ends of its connections."""
        calls, ours = socket.socketpair()
        control, theirs = socket.socketpair()
        for each in (calls, ours, control, theirs):
            self.addCleanup(each.close)
        output = mock.Mock()
        ours.sendall(2 * wire.frame(wire.PREPARE))  # in place of stdout and stderr
        with mock.patch.dict(sys.modules, cpulb=types.SimpleNamespace(TaskCancelled=Cancelled)):
            turn = Turn(pickle.dumps, output, calls, control, {}, types.SimpleNamespace(cancelled=False))
        self.addCleanup(turn.close)
        return turn, ours, theirs

    def test_call_that_comes_while_others_are_taken_back_is_not_lost(self):
        first, second = (wire.CALL, 1, 1, b"", -1), (wire.CALL, 2, 1, b"", -1)
        for take in (lambda turn: turn._take_back(), lambda turn: turn._stop(1)):
            turn, _, _ = self.begin()
            reader = threading.Thread(target=turn._keep, args=([second],))

            class Watched(deque):
                def __iter__(self):
                    for frame in list(super().__iter__()):
                        reader.start()
                        reader.join(0.1)  # or it waits until who looks through the calls is done
                        yield frame

            turn.waiting = Watched([first])
            take(turn)
            reader.join(SECONDS)
            self.assertEqual(turn.waiting.pop(), second)

    def test_function_whose_module_exits_when_it_is_imported_fails_its_calls_alone(self):
        turn, ours, _ = self.begin()
        nothing = pickle.dumps(((), {}))
        for number, value in ((1, Exits(SystemExit, 1)), (2, os.getpid)):
            ours.sendall(wire.frame(wire.FUNCTION, 0, number, pickle.dumps(value)) + wire.frame(wire.CALL, number, number, nothing))
        ours.sendall(wire.frame(wire.CALL, 3, 2, pickle.dumps((Exits(SystemExit, 1), {}))))
        ours.shutdown(socket.SHUT_WR)
        turn.run()
        ours.settimeout(SECONDS)
        incoming = wire.Incoming(ours)
        frames = incoming.read()
        while len(frames) < 4:
            frames += incoming.read()
        self.assertEqual([frame[:2] for frame in frames[1:]], [(wire.UNREADABLE, 1), (wire.RESULT, 2), (wire.UNREADABLE, 3)])

    def test_turn_ends_when_what_the_executor_orders_can_not_be_done(self):
        turn, _, theirs = self.begin()
        with mock.patch.object(turn, "_obey_one", side_effect=IndexError):
            theirs.sendall(wire.frame(wire.STOP, 1))
            turn.run()
        self.assertTrue(turn.last)

    def test_barred_worker_begins_no_other_call(self):
        began = []

        def bar():
            began.append(1)
            outbox[BARRED_AT] = 1

        turn, _, _ = self.begin()
        outbox = turn.outbox
        turn.functions[1], turn.functions[2] = bar, lambda: began.append(2)
        nothing = pickle.dumps(((), {}))
        turn.waiting.extend([(wire.CALL, 7, 1, nothing, -1), (wire.CALL, 8, 2, nothing, -1)])
        turn.run()
        self.assertEqual((began, OUTBOX_HEADER.unpack_from(outbox, 0)[0]), ([1], 7))


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
