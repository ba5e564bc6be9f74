"""Who connects to an Executor, what passes there, and with what it is made."""

import concurrent.futures
import errno
import gc
import os
import pickle
import resource
import signal
import socket
import threading
import unittest
from unittest import mock

from cpu_load_balancer import Engine
from cpu_load_balancer.futures import Executor, TransferError, arguments, door, memory, results, turn, wire, worker
from cpu_load_balancer.futures.bell import Bell
from cpu_load_balancer.futures.call import Call
from cpu_load_balancer.futures.function import Function
from cpu_load_balancer.futures.raised import raised

SECONDS = 60


class Doors(unittest.TestCase):
    def setUp(self):
        self.bell = Bell()
        self.addCleanup(self.bell.close)
        patience = mock.patch.object(door, "_GREETING_SECONDS", SECONDS)  # or a guest may have gone before the next one comes
        patience.start()
        self.addCleanup(patience.stop)

    def open(self, user=None):
        opened = door.Door(self.bell, (b"", -1), user)
        self.addCleanup(opened.close)
        return opened

    def guest(self, opened, user):
        """Connect as that user, saying nothing."""
        guest = socket.socket(socket.AF_UNIX)
        self.addCleanup(guest.close)
        guest.connect("\0" + opened.address)
        guest.settimeout(SECONDS)
        with mock.patch.object(door, "peer", return_value=user):
            opened.open()
        return guest

    def greeted(self, guest):
        """Whether the Executor has begun to talk."""
        return len(guest.recv(wire.NONCE_BYTES)) > 0

    def test_guests_of_one_user_keep_no_other_user_outside(self):
        opened = self.open()
        guests = [self.guest(opened, 1000) for _ in range(65)]
        self.assertTrue(all(map(self.greeted, guests[:64])))
        self.assertFalse(self.greeted(guests[64]))
        self.assertTrue(self.greeted(self.guest(opened, 1001)))

    def test_who_goes_makes_room(self):
        opened = self.open()
        guests = [self.guest(opened, 1000) for _ in range(64)]
        guests.pop().close()
        for thread in threading.enumerate():  # the one that greeted it ends
            if thread.name == "cpulb futures door" and opened._guests[1000] == 64:
                thread.join(0.2)
        self.assertTrue(self.greeted(self.guest(opened, 1000)))

    def test_guest_for_whom_there_is_no_descriptor_or_thread_is_let_in_later(self):
        opened = self.open()
        guest = socket.socket(socket.AF_UNIX)
        self.addCleanup(guest.close)
        guest.settimeout(SECONDS)
        guest.connect("\0" + opened.address)
        with mock.patch.object(opened, "_listener", mock.Mock(**{"accept.side_effect": OSError(errno.EMFILE, "Too many open files")})):
            self.assertFalse(opened.open())
        self.assertTrue(opened.open())
        self.assertTrue(self.greeted(guest))
        for error in (RuntimeError("can't start new thread"), MemoryError()):
            with mock.patch.object(threading.Thread, "start", side_effect=error):
                self.assertFalse(self.greeted(self.guest(opened, 1000)), "it is turned away, and tries again")
        self.assertNotIn(1000, opened._guests)

    def test_other_users_are_refused_where_the_workers_user_is_known(self):
        opened = self.open(user=1000)
        self.assertFalse(self.greeted(self.guest(opened, 1001)))
        self.assertTrue(self.greeted(self.guest(opened, 1000)))

    def test_preparation_that_is_being_sent_when_it_closes_stays_what_it_is(self):
        sent, number = [], memory.encode(b"x" * (4 << 20))[1]
        opened = door.Door(self.bell, (b"", number))
        os.close(number)

        def send_all(connection, data, descriptor=-1):
            opened.close()
            sent.append(os.fstat(descriptor).st_size)
            raise EOFError
        ours, theirs = socket.socketpair()
        with ours, theirs, mock.patch.object(wire, "send_all", send_all):
            opened._prepare(ours, wire.Incoming(ours), door.Arrival("prepare", 1))
        self.assertGreater(sent[0], 0)

    def test_threads_that_turn_away_the_same_arrival_do_not_disturb_each_other(self):
        opened = self.open()
        arrival = mock.Mock()
        arrivals = mock.MagicMock(**{"popleft.side_effect": [arrival, IndexError]})  # another one has taken the last
        arrivals.__bool__.return_value = True
        with mock.patch.object(opened, "arrived", arrivals):
            opened._turn_away()
        arrival.close.assert_called_once_with()

    def test_kernel_says_who_it_is(self):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            self.assertEqual(door.peer(ours), os.geteuid())

    def test_worker_that_is_turned_away_comes_again(self):
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        listener.bind("\0cpulb-test-%d-%d" % (os.getpid(), id(self)))
        listener.listen()

        def turn_away_twice():
            for _ in range(2):
                listener.accept()[0].close()
            connection = listener.accept()[0]
            self.addCleanup(connection.close)
            wire.accept(connection, b"secret")
        thread = threading.Thread(target=turn_away_twice, daemon=True)
        thread.start()
        self.addCleanup(thread.join, SECONDS)
        self.addCleanup(listener.shutdown, socket.SHUT_RDWR)
        process = object.__new__(worker.Process)
        process.address, process.secret = listener.getsockname()[1:].decode(), b"secret"
        with mock.patch.object(worker, "_AGAIN_SECONDS", 0.001):
            process.connect(1, "calls").close()


class Passed(unittest.TestCase):
    def test_whatever_is_large_passes_in_memory(self):
        began = object.__new__(turn.Turn)
        began.functions, began.stopped, began.dumps = {1: lambda value: value}, KeyboardInterrupt, pickle.dumps
        for value in ("x" * (4 << 20), b"x" * (4 << 20), 1 << (8 << 20), ["é" * (1 << 20)], "short", 7):
            kind, payload, descriptor = began._answer((wire.CALL, 1, 1, pickle.dumps(((value,), {})), -1))
            self.assertEqual(kind, wire.RESULT)
            self.assertLess(len(payload), memory.LARGE_BYTES)
            self.assertEqual(memory.take(payload, descriptor), value)


class Raises(Exception):
    """An exception of which the class can only be written out, as in an interactive session, or not even that."""

    def __reduce__(self):
        return "no such name"

    def __str__(self):
        raise ValueError("no words")


class NeedsTwo(Exception):
    def __init__(self, first, second):
        super().__init__(first)


class NoError(Exception):
    def __reduce__(self):
        return str, ("no exception",)


class Signals:
    """A signal comes while it is unpickled."""

    def __reduce__(self):
        return os.kill, (os.getpid(), signal.SIGUSR1)


class Raised(unittest.TestCase):
    def raised(self, error, dumps=pickle.dumps):
        """Have a call raise error, and return it as it arrives, with its traceback."""
        def call():
            raise error
        began = object.__new__(turn.Turn)
        began.functions, began.stopped, began.dumps = {1: call}, KeyboardInterrupt, dumps
        kind, payload, descriptor = began._answer((wire.CALL, 1, 1, pickle.dumps(((), {})), -1))
        self.assertEqual(kind, wire.RAISED)
        return memory.take(payload, descriptor)

    def test_exceptions_are_pickled_by_dumps_as_results_are(self):
        def dumps(error, **options):
            return pickle.dumps(ValueError(str(error.args[0])), **options)
        data, _, text = self.raised(Raises("written out"), dumps)
        error = pickle.loads(data)
        self.assertEqual(repr(error), "ValueError('written out')")
        self.assertIn("raise error", text)

    def test_exception_that_can_not_be_pickled_comes_in_words_with_its_traceback_even_without_a_descriptor_left(self):
        for error in (Raises("x"), Raises(), ValueError("x" * (1 << 20))):
            with mock.patch.object(os, "memfd_create", side_effect=OSError(24, "Too many open files")):
                data, _, text = self.raised(error)
            error = pickle.loads(data)
            self.assertIsInstance(error, pickle.PicklingError)
            self.assertTrue("can't be pickled" in str(error) and text.endswith("\n"))


class Given(unittest.TestCase):
    """A call gets what its worker has sent."""

    def given(self, kind, payload, descriptor=-1):
        call = Call(1, kind, Function(0, None), (), {}, None)
        call.begin()
        results.give(call, kind, payload, descriptor)
        return call

    def test_exception_that_can_not_be_unpickled_comes_in_its_words_with_its_traceback(self):
        for error in (NeedsTwo("the words", 2), NoError("the words")):
            error = self.given(wire.RAISED, raised(error, pickle.dumps)[0]).exception(0)
            self.assertIsInstance(error, TransferError)
            self.assertRegex(str(error), "the call raised No?e?.*: the words, which can't be unpickled")
            self.assertIn("the words", str(error.__cause__))

    def test_exception_of_a_signals_handler_reaches_the_program_and_the_result_is_read_again(self):
        class Alarm(Exception):
            pass

        def ring(*_):
            raise Alarm

        self.addCleanup(signal.signal, signal.SIGUSR1, signal.signal(signal.SIGUSR1, ring))
        payload, descriptor = memory.encode((Signals(), "x" * memory.LARGE_BYTES))
        self.addCleanup(os.close, descriptor)
        with self.assertRaises(Alarm):
            self.given(wire.RESULT, payload, descriptor)
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        self.assertEqual(len(self.given(wire.RESULT, payload, descriptor).result(0)), 2)

    def test_who_keeps_very_many_arrays_has_descriptors_left(self):
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, limits)
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, limits[1]))
        kept = []
        for number in range(300):
            data = bytearray(number.to_bytes(2, "big") * memory.LARGE_BYTES)
            kept.append(memory.take(*memory.encode(pickle.PickleBuffer(data))))
        self.assertEqual([int.from_bytes(bytes(each)[:2], "big") for each in kept], list(range(300)))


class Whole:
    """A whole number of another library."""

    def __init__(self, value):
        self.value = value

    def __index__(self):
        return self.value


class Made(unittest.TestCase):
    def test_what_it_can_not_be_made_with_is_said_by_its_name(self):
        engine = Engine("/nowhere")
        for error, words, options in (
                (TypeError, "max_workers must be an integer, not 1.5", {"max_workers": 1.5}),
                (ValueError, "max_workers must be greater than 0", {"max_workers": 0}),
                (TypeError, "max_tasks_per_child must be an integer, not '5'", {"max_tasks_per_child": "5"}),
                (TypeError, "timeout must be a number of seconds, or None for no bound, not '5'", {"timeout": "5"}),
                (TypeError, "timeout must be a number of seconds, or None for no bound, not True", {"timeout": True}),
                (ValueError, "timeout must be greater than 0, not nan", {"timeout": float("nan")}),
                (ValueError, "timeout must be greater than 0, not -1", {"timeout": -1}),
                (TypeError, "env must have texts alone, not 'A': 1", {"env": {"A": 1}}),
                (TypeError, "env must be a mapping of names to texts, not 'A=1'", {"env": "A=1"}),
                (ValueError, "env has 'A=B': 'C'", {"env": {"A=B": "C"}}),
                (ValueError, "env has 'A': 'B", {"env": {"A": "B\0"}}),
                (TypeError, "initializer must be a callable, not 5", {"initializer": 5}),
                (TypeError, "initargs must be an iterable, such as a tuple, not 5", {"initializer": print, "initargs": 5}),
                (ValueError, "max_workers must be at most 1024, not 1000000000", {"max_workers": 10**9}),
                (TypeError, "dumps must be a callable, not None", {"dumps": None}),
                (TypeError, "engine must be an Engine or None, not '/run/s'", {"engine": "/run/s"}),
                (TypeError, "pool must be a pool's name or None, not 5", {"engine": engine, "pool": 5}),
                (TypeError, "bin_dir must be a folder's path or None, not 5", {"bin_dir": 5}),
                (ValueError, "max_tasks_per_child takes a private daemon", {"engine": engine, "max_tasks_per_child": 5})):
            with self.subTest(words):
                with self.assertRaises(error) as raised:
                    Executor(**options)
                self.assertIn(words, str(raised.exception))

    def test_what_concurrent_futures_takes_is_taken(self):
        self.assertEqual([arguments.workers(value, None) for value in (True, Whole(3))], [1, 3])
        self.assertEqual(arguments.workers(10**9, Engine("/nowhere")), 10**9)
        self.assertEqual(arguments.items([1, 2], "initargs"), (1, 2))
        self.assertEqual(arguments.seconds(float("inf"), "timeout"), None)
        self.assertEqual(arguments.seconds(10**400, "timeout"), None)

    def test_what_a_map_can_not_be_made_with_is_said_at_the_call(self):
        executor = object.__new__(Executor)  # it gets no further
        nan = float("nan")
        for error, words, options in (
                (TypeError, "chunksize must be an integer, not 1.5", {"chunksize": 1.5}),
                (ValueError, "chunksize must be >= 1", {"chunksize": 0}),
                (TypeError, "buffersize must be an integer, not '1'", {"buffersize": "1"}),
                (ValueError, "buffersize must be None or > 0", {"buffersize": 0}),
                (TypeError, "timeout must be a number of seconds, or None for no bound, not '1'", {"timeout": "1"}),
                (ValueError, "timeout must be a number of seconds, not nan", {"timeout": nan})):
            with self.subTest(words):
                self.assertRaisesRegex(error, words, executor.map, print, [1], **options)
        call = Call(1, wire.CALL, Function(0, None), (), {}, None)
        call.begin()
        for wait in (call.result, call.exception):
            self.assertRaisesRegex(TypeError, "timeout must be a number of seconds", wait, "1")
            self.assertRaisesRegex(ValueError, "timeout must be a number of seconds, not nan", wait, nan)
            self.assertRaises(concurrent.futures.TimeoutError, wait, -1)

    def test_executor_that_can_not_be_made_leaves_nothing_open(self):
        gc.collect()  # of what other tests have left
        before = os.listdir("/proc/self/fd")
        for step in ("private_engine", "check_version", "Door", "script", "Keeper"):
            with mock.patch("cpu_load_balancer.futures.executor.private_engine", return_value=(None, lambda: None)), \
                    mock.patch("cpu_load_balancer.futures.executor.check_version"), \
                    mock.patch("cpu_load_balancer.futures.executor." + step, side_effect=ValueError(step)):
                self.assertRaisesRegex(ValueError, step, Executor, 1, initializer=print, initargs=("x" * (1 << 20),))
            self.assertEqual(os.listdir("/proc/self/fd"), before, step)


if __name__ == "__main__":
    unittest.main()
