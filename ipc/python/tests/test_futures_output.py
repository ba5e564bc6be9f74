"""Where calls print on a daemon that others use, too: a worker outlives the programs whose calls it runs."""

import os
import subprocess
import sys
import tempfile
import unittest

import restarts
from cpu_load_balancer import Task
from cpu_load_balancer.futures.output import Output

WAIT = 60
PACKAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
PROGRAM = f"""
import sys, time
sys.path.insert(0, {PACKAGE!r})
from cpu_load_balancer import Engine
from cpu_load_balancer.futures import Executor
def greet(name): print("hello", name)
def never():
    sys.stderr.write("never\\n")
    sys.stderr.flush()
    while True: time.sleep(0.01)
if __name__ == "__main__":
    with Engine(sys.argv[1]) as engine, Executor(1, engine=engine, pool="io", initializer=print, initargs=("begun",)) as executor:
        executor.submit(greet, "ada").result()
        if sys.argv[2:]:
            executor.submit(never).result()
"""
PROCESS = "import os\ndef main(params, context): return os.getpid()\n"


class Shared(unittest.TestCase):
    def setUp(self):
        self.daemon = restarts.RestartedDaemon(type(self), restarts.EXCLUSIVE)
        self.engine = self.daemon.engine()
        self.addCleanup(self.engine.close)
        self.path = self.daemon.write("program.py", PROGRAM)

    def worker(self):
        """The process that runs all calls, when it runs none."""
        return self.engine.run_task(Task.create(None, None, source=PROCESS, pool="io")).data

    def start(self, *arguments):
        started = subprocess.Popen([sys.executable, self.path, self.daemon.socket, *arguments], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        self.addCleanup(started.kill)
        return started

    def test_worker_keeps_nothing_of_a_program_that_has_ended_or_been_killed(self):
        self.assertEqual(self.start().communicate(timeout=WAIT), ("begun\nhello ada\n", ""))
        descriptors = f"/proc/{self.worker()}/fd"
        before = len(os.listdir(descriptors))
        for _ in range(3):
            self.assertEqual(self.start().communicate(timeout=WAIT)[1], "")
        killed = self.start("and never end")
        self.assertEqual(killed.stderr.readline(), "never\n")
        killed.kill()  # while its call runs, which goes on
        self.assertEqual(killed.communicate(timeout=WAIT), ("begun\nhello ada\n", ""))
        self.assertLessEqual(len(os.listdir(descriptors)) - before, 3, "those of the call that runs")


class Loaded(unittest.TestCase):
    def test_package_registers_nothing_that_would_keep_it_in_a_worker_that_loads_it_for_each_program(self):
        text = f"""
import os, sys, threading
kept = []
os.register_at_fork = lambda **functions: kept.extend(functions.values())
threading._register_atexit = kept.append
sys.path.insert(0, {PACKAGE!r})
import cpu_load_balancer.futures
print([each for each in kept if str(getattr(each, "__module__", "")).startswith("cpu_load_balancer.futures")])
"""
        loaded = subprocess.run([sys.executable, "-c", text], stdout=subprocess.PIPE, timeout=WAIT, text=True, check=True)
        self.assertEqual(loaded.stdout, "[]\n")


class Streams(unittest.TestCase):
    """The streams stay over turns, whatever calls do to them: loggers have them."""

    def setUp(self):
        for name in ("stdout", "stderr"):
            self.addCleanup(setattr, sys, name, getattr(sys, name))
        self.output = Output(False)
        self.addCleanup(self.output.end)

    def turn(self, words, stream=None):
        """Print words during a turn, and return what has arrived."""
        with tempfile.TemporaryFile("w+") as here, open(os.devnull, "w") as nothing:
            self.output.begin([os.dup(here.fileno()), os.dup(nothing.fileno())])
            print(words, file=stream)
            self.output.flush()
            self.output.end()
            here.seek(0)
            return here.read()

    def test_who_has_kept_a_stream_writes_to_the_program_in_each_turn_and_nowhere_between(self):
        self.assertEqual(self.turn("one"), "one\n")
        kept = sys.stdout
        print("between", file=kept, flush=True)
        self.assertRaises(OSError, kept.fileno)
        self.assertEqual(self.turn("two", kept), "two\n")

    def test_what_is_written_past_the_streams_goes_there_where_the_process_is_the_programs_alone(self):
        before = [os.fstat(number)[:3] for number in (1, 2)]
        alone = Output(True)
        self.addCleanup(alone.end)
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
            alone.begin([os.dup(out.fileno()), os.dup(errors.fileno())])
            subprocess.run("echo said; echo failed >&2", shell=True, check=True)
            alone.end()
            self.assertEqual([os.fstat(number)[:3] for number in (1, 2)], before)
            for file, words in ((out, "said\n"), (errors, "failed\n")):
                file.seek(0)
                self.assertEqual(file.read(), words)

    def test_call_that_closes_or_detaches_the_stream_harms_no_later_turn(self):
        for end in (lambda: sys.stdout.close(), lambda: sys.stdout.detach()):
            self.assertEqual(self.turn("one"), "one\n")
            end()
            self.assertEqual(self.turn("two"), "two\n")

    def test_nothing_is_left_open(self):
        before = os.listdir("/proc/self/fd")
        for _ in range(3):
            self.turn("one")
        self.assertEqual(os.listdir("/proc/self/fd"), before)


if __name__ == "__main__":
    unittest.main()
