"""The Executor against a private daemon: what it promises beyond a ProcessPoolExecutor, and what it shares with it."""

import asyncio
import concurrent.futures
import functools
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from unittest import mock

from cpu_load_balancer.futures import CallTimeoutError, Executor, TransferError, VersionError, WorkerLostError
from cpu_load_balancer.futures import version as versions

BIN = os.environ.get("CPULB_BIN") or os.path.join(os.path.dirname(__file__), "../../../bin")
PACKAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
WAIT = 60
said = []


def say(word):
    said.append(word)
    os.environ["CPULB_SAID"] = word


def what_was_said():
    return said, os.environ.get("CPULB_SAID"), os.getpid()


def double(value):
    return value * 2


def raises(text):
    raise ValueError(text)


def die(code):
    os._exit(code)


def never(path):
    with open(path, "w", encoding="utf-8"):
        pass
    while True:
        time.sleep(0.01)


def wait_for(path):
    with open(path, "rb") as fifo:
        return fifo.read()


def scribble(data):
    data[0] = 1
    return len(data)


def large(size):
    return bytearray(size)


def forked():
    child = os.fork()
    if child == 0:
        os._exit(7)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def holds(count):
    sum(range(count))  # in C code, which lets no other thread of the worker run
    return count


def in_main_thread():
    return threading.current_thread() is threading.main_thread()


def folder_of(test):
    """A folder that goes with the test."""
    folder = tempfile.TemporaryDirectory(prefix="cpulb-test-")
    test.addCleanup(folder.cleanup)
    return folder.name


class Unpicklable:
    def __reduce__(self):
        return raises, ("not here",)


class WithExecutor(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.executor = Executor(2, initializer=say, initargs=("hello",), bin_dir=BIN)
        cls.addClassCleanup(cls.executor.shutdown)

    def file(self):
        """A path that nothing is at."""
        return os.path.join(folder_of(self), "begun")

    def begun(self, path):
        deadline = time.monotonic() + WAIT
        while not os.path.exists(path):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.005)

    def test_calls_of_many_kinds_return_what_they_return(self):
        submit = self.executor.submit
        calls = [submit(double, 21), submit(functools.partial(pow, 2), 5), submit("a,b".split, ","), submit(max, 1, 2, key=abs),
                 submit(in_main_thread), submit(forked)]
        self.assertEqual([call.result(WAIT) for call in calls], [42, 32, ["a", "b"], 2, True, 7])

    def test_thousands_of_calls_each_get_their_own_result(self):
        calls = [self.executor.submit(double, i) for i in range(5000)]
        self.assertEqual([call.result() for call in calls], [2 * i for i in range(5000)])
        self.assertEqual(list(self.executor.map(double, range(1001), chunksize=100)), [2 * i for i in range(1001)])
        self.assertEqual(list(self.executor.map(pow, range(9), range(9), buffersize=2)), [n ** n for n in range(9)])

    def test_an_exception_comes_with_the_workers_traceback(self):
        error = self.executor.submit(raises, "no such luck").exception(WAIT)
        self.assertEqual(repr(error), "ValueError('no such luck')")
        self.assertIn("raise ValueError(text)", str(error.__cause__))

    def test_arguments_that_can_not_be_unpickled_fail_their_call_alone(self):
        error = self.executor.submit(double, Unpicklable()).exception(WAIT)
        self.assertIsInstance(error, TransferError)
        self.assertIn("not here", str(error.__cause__))
        self.assertIsInstance(self.executor.submit(lambda: 1).exception(WAIT), Exception)
        self.assertEqual(self.executor.submit(double, 1).result(WAIT), 2)

    def test_initializer_runs_once_in_each_worker_and_its_state_stays(self):
        found = [self.executor.submit(what_was_said).result(WAIT)[:2] for _ in range(4)]
        self.assertEqual(found, [(["hello"], "hello")] * 4)

    def test_worker_that_dies_fails_the_call_that_it_ran_and_no_other(self):
        before = [self.executor.submit(double, i) for i in range(500)]
        deadly = self.executor.submit(die, 3)
        after = [self.executor.submit(double, i) for i in range(500)]
        error = deadly.exception(WAIT)
        self.assertIsInstance(error, WorkerLostError)
        self.assertRegex(str(error), r"test_futures\.die .*task [0-9a-f-]{36}.*exit (code|status) 3")
        self.assertEqual([call.result(WAIT) for call in before + after], [2 * i for i in range(500)] * 2)
        self.assertEqual(self.executor.submit(what_was_said).result(WAIT)[:2], (["hello"], "hello"))

    def test_worker_that_is_killed_while_idle_fails_nothing(self):
        os.kill(self.executor.submit(os.getpid).result(WAIT), signal.SIGKILL)
        self.assertEqual(self.executor.submit(double, 1).result(WAIT), 2)

    def test_running_call_can_be_cancelled(self):
        path = self.file()
        call = self.executor.submit(never, path)
        self.begun(path)
        self.assertTrue(call.running())
        self.assertTrue(call.cancel())
        self.assertTrue(call.cancelled() and call.done())
        self.assertRaises(concurrent.futures.CancelledError, call.result, WAIT)
        self.assertEqual(self.executor.submit(double, 1).result(WAIT), 2)
        self.assertFalse(self.executor.submit(double, 1).result(WAIT) and call.running())

    def test_call_that_runs_too_long_is_stopped(self):
        path = self.file()
        self.assertRaises(CallTimeoutError, self.executor.timed(0.2).submit(never, path).result, WAIT)
        self.assertEqual(self.executor.timed(WAIT).submit(double, 1).result(WAIT), 2)

    def test_calls_behind_a_long_one_go_to_another_worker(self):
        list(self.executor.map(len, ["x"] * 200))  # it is known to be short
        path = self.file()
        os.mkfifo(path)
        long = self.executor.submit(wait_for, path)
        short = [self.executor.submit(len, "xx") for _ in range(500)]
        self.assertEqual([call.result(WAIT) for call in short], [2] * 500)
        with open(path, "wb") as end:
            end.write(b"released")
        self.assertEqual(long.result(WAIT), b"released")

    def test_large_arguments_and_results_pass_whole_and_are_copies(self):
        data = bytearray(3_000_000)
        self.assertEqual(self.executor.submit(scribble, data).result(WAIT), len(data))
        self.assertEqual(data[0], 0)
        self.assertEqual(self.executor.submit(large, 2_000_000).result(WAIT), bytearray(2_000_000))

    def test_asyncio_runs_calls_and_cancels_them(self):
        path = self.file()

        async def both():
            loop = asyncio.get_running_loop()
            waiting = loop.run_in_executor(self.executor, never, path)
            twice = await loop.run_in_executor(self.executor, double, 21)
            await loop.run_in_executor(None, self.begun, path)
            waiting.cancel()
            return twice
        self.assertEqual(asyncio.run(both()), 42)
        self.assertEqual(self.executor.submit(double, 1).result(WAIT), 2)

    def test_shutdown_ends_while_another_thread_waits_for_a_result(self):
        path = self.file()
        os.mkfifo(path)
        executor = Executor(1, bin_dir=BIN)
        self.addCleanup(executor.terminate)
        call = executor.submit(wait_for, path)
        threads = [threading.Thread(target=work, daemon=True) for work in (call.result, executor.shutdown)]
        threads[0].start()
        while not call._condition.asleep():
            self.assertFalse(call.done())
        threads[1].start()
        while not executor.is_closed:
            self.assertFalse(call.done())
        with open(path, "wb") as end:
            end.write(b"released")
        for thread in threads:
            thread.join(WAIT)
            self.assertFalse(thread.is_alive())
        self.assertEqual(call.result(0), b"released")

    def test_each_so_many_calls_have_a_process_of_their_own_and_cancelled_ones_do_not_count(self):
        with Executor(1, max_tasks_per_child=2, bin_dir=BIN) as executor:
            calls = [executor.submit(os.getpid) for _ in range(10)]
            cancelled = [call for call in calls[1::2] if call.cancel()]
            found = [call.result(WAIT) for call in calls if call not in cancelled]
            found += [executor.submit(os.getpid).result(WAIT) for _ in range(4)]
        self.assertLessEqual(max(map(found.count, found)), 2)
        self.assertGreaterEqual(len(set(found)), len(found) // 2)

    def test_call_that_is_cancelled_behind_one_that_holds_the_interpreter_harms_nobody(self):
        with Executor(1, bin_dir=BIN) as executor:
            list(executor.map(holds, [0] * 200))  # they are known to be short
            calls = [executor.submit(holds, n) for n in (0, 25_000_000, 0, 0, 0, 0)]
            calls[0].result(WAIT)
            self.assertTrue(calls[-1].cancel())
            self.assertEqual([call.result(WAIT) for call in calls[:-1]], [0, 25_000_000, 0, 0, 0])

    def test_another_version_of_python_is_an_error_of_the_constructor(self):
        with mock.patch.object(versions.sys, "version_info", (3, 2, 0)):
            with self.assertRaisesRegex(VersionError, r"workers run Python 3\.\d+ and this is Python 3\.2"):
                Executor(1, bin_dir=BIN)


class Programs(unittest.TestCase):
    def run_program(self, text, *arguments):
        program = f"import sys; sys.path.insert(0, {PACKAGE!r})\n" + text
        folder = folder_of(self)
        path = os.path.join(folder, "program.py")
        with open(path, "w", encoding="utf-8") as file:
            file.write(program)
        started = subprocess.Popen([sys.executable, path, BIN, folder, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   text=True)
        self.addCleanup(started.kill)
        return started

    def test_functions_of_the_main_module_and_what_they_start_print_here_and_end_before_the_interpreter(self):
        program = self.run_program("""
import os
from cpu_load_balancer.futures import Executor
def greet(name):
    print("hello", name, flush=True)
    os.system("echo hello to all")
    os.write(2, b"bye")
if __name__ == "__main__":
    executor = Executor(1, bin_dir=sys.argv[1])
    executor.submit(greet, "ada")
""")
        self.assertEqual(program.communicate(timeout=WAIT), ("hello ada\nhello to all\n", "bye"))

    def test_an_interrupt_ends_all(self):
        program = self.run_program("""
import os, time
from cpu_load_balancer.futures import Executor
def never(path):
    open(path, "w").close()
    while True: time.sleep(0.01)
if __name__ == "__main__":
    path = os.path.join(sys.argv[2], "begun")
    with Executor(1, bin_dir=sys.argv[1]) as executor:
        calls = [executor.submit(never, path) for _ in range(3)]
        while not os.path.exists(path): time.sleep(0.005)
        print(executor._keeper._tasks._engine.daemon_pid, flush=True)
        calls[0].result()
""")
        daemon = int(program.stdout.readline())
        program.send_signal(signal.SIGINT)
        _, errors = program.communicate(timeout=WAIT)
        self.assertIn("KeyboardInterrupt", errors)
        self.assertRaises(ProcessLookupError, os.kill, daemon, 0)


if __name__ == "__main__":
    unittest.main()
