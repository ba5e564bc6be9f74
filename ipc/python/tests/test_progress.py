"""The line that says how far a map is: what it says, and that it comes on a terminal alone."""

import asyncio
import fcntl
import io
import json
import os
import pty
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import unittest
from unittest import mock

import cpu_load_balancer
from cpu_load_balancer import Task
from cpu_load_balancer.progress import Progress
from fake import FakeDaemon, result_line

PROGRAM = """
import sys
from cpu_load_balancer import Engine
with Engine(sys.argv[1]) as engine:
    print(sum(r.data for r in engine.map("/x.py", range(50), progress=True)))
    print(sum(r.data for r in engine.as_completed([], progress=True)))
"""


def full_once(sent):
    """Return what refuses the first task, for want of room, and gives each other its result; sent gets their ids."""
    def answer(connection, command):
        task_id = command["task"]["task_id"]
        sent.append(task_id)
        if len(sent) == 1:
            line = {"event": "rejected", "task_id": task_id, "line": 1, "problem": {"code": "queue_full"}}
            connection.sendall(json.dumps(line).encode() + b"\n")
        else:
            connection.sendall(result_line(task_id, 1))
    return answer


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Lines(unittest.TestCase):
    def setUp(self):
        self.now = 100.0
        self.terminal = Terminal()

    def progress(self, total):
        return Progress(total, self.terminal, lambda: self.now)

    def test_line_has_share_rate_and_what_is_left(self):
        progress = self.progress(1000)
        for _ in range(250):
            self.now += 0.01
            progress.step()
        self.assertEqual(progress.text(), "[######..................] 250/1,000  25%  100/s  ETA 0:08")
        progress.step(failed=True)
        self.assertIn("1 failed", progress.text())

    def test_line_says_what_is_waited_for_and_no_longer(self):
        progress = self.progress(10)
        progress.step()
        progress.waits("queue_full")
        self.assertTrue(self.terminal.getvalue().split("\r")[-1].startswith("[##......................] 1/10  10%  waiting: queue_full"))
        progress.waits(None)
        self.assertNotIn("waiting", self.terminal.getvalue().split("\r")[-1])

    def test_a_map_tells_its_line_what_it_waits_for(self):
        told, sent = [], []
        engine = cpu_load_balancer.Engine(FakeDaemon(self, full_once(sent)).path)
        self.addCleanup(engine.close)
        with mock.patch.object(Progress, "waits", lambda _, code: told.append(code)):
            self.assertEqual([r.data for r in engine.map("/x.py", [1], progress=True)], [1])
            sent.clear()
            self.assertEqual([r.data for r in engine.as_completed([Task.create("/x.py")], progress=True)], [1])
        self.assertEqual(told, ["queue_full", None] * 2)

    def test_map_of_an_asynchronous_engine_tells_the_same(self):
        told, sent = [], []

        async def run(call):
            async with cpu_load_balancer.AsyncEngine(FakeDaemon(self, full_once(sent), refuses=1).path) as engine:
                sent.clear()
                self.assertEqual([r.data async for r in call(engine)], [1])
        with mock.patch.object(Progress, "waits", lambda _, code: told.append(code)):
            asyncio.run(run(lambda engine: engine.map("/x.py", [1], progress=True)))
            asyncio.run(run(lambda engine: engine.as_completed([Task.create("/x.py")], progress=True)))
        self.assertEqual(told, ["too_many_connections", None, "queue_full", None] * 2)

    def test_map_waits_for_no_daemon_any_more_once_the_next_one_is_there_however_long_its_tasks_run(self):
        async def run(path):
            async with cpu_load_balancer.AsyncEngine(path) as engine:
                return [r.data async for r in engine.map("/x.py", [1], progress=True)]

        def run_here(path):
            with cpu_load_balancer.Engine(path) as engine:
                return [r.data for r in engine.map("/x.py", [1], progress=True)]
        for call in (run_here, lambda path: asyncio.run(run(path))):
            told, sent, seen, back = [], [], [], threading.Event()

            def answer(connection, command):
                sent.append(command)
                if len(sent) <= 3:  # of the first a map may know before it waits
                    connection.shutdown(socket.SHUT_RDWR)
                else:
                    seen.append(back.wait(5))  # for which it would wait in vain, were it told by the result alone
                    connection.sendall(result_line(command["task"]["task_id"], 1))

            def waits(_, code):
                told.append(code)
                (back.set if code is None else back.clear)()
            with mock.patch.object(Progress, "waits", waits):
                self.assertEqual(call(FakeDaemon(self, answer).path), [1])
            self.assertEqual((told[-2:], seen), (["connection_lost", None], [True]))

    def test_end_has_how_long_it_took(self):
        progress = self.progress(2)
        for _ in range(2):
            self.now += 1800
            progress.step()
        self.assertIn("2/2 100%", progress.text())
        self.assertTrue(progress.text().endswith("in 1:00:00"), progress.text())
        progress.close()
        self.assertTrue(self.terminal.getvalue().endswith("\n"))
        written = self.terminal.getvalue()
        progress.close()
        self.assertEqual(self.terminal.getvalue(), written)

    def test_line_is_no_longer_than_the_terminal_is_wide(self):
        progress = self.progress(1000)
        for n in range(250):
            self.now += 0.01
            progress.step(failed=n % 2 == 0)
        whole = progress.text()
        self.assertEqual(progress.text(len(whole)), whole)
        self.assertEqual(progress.text(52), "[#.....] 250/1,000  25%  125 failed  100/s  ETA 0:08")
        self.assertEqual(progress.text(44), "250/1,000  25%  125 failed  100/s  ETA 0:08")
        for width in range(len(whole) + 2):
            self.assertLessEqual(len(progress.text(width)), width)
            self.assertTrue(progress.text(width).lstrip("[#.] ").startswith("250/1,000"[:width]))

    def test_total_may_be_unknown_and_nothing_may_have_ended(self):
        progress = self.progress(None)
        self.assertEqual(progress.text(), "0 done")
        self.now += 2
        progress.step()
        self.assertEqual(progress.text(), "1 done  0.5/s")

    def test_rate_is_that_of_the_last_seconds(self):
        progress = self.progress(10_000)
        for pause, count in ((1.0, 100), (0.01, 3000)):
            for _ in range(count):
                self.now += pause
                progress.step()
        self.assertIn("  100/s  ", progress.text())

    def test_it_is_drawn_ten_times_a_second_at_most(self):
        progress = self.progress(10_000)
        for _ in range(1000):
            self.now += 0.001
            progress.step()
        self.assertLess(self.terminal.getvalue().count("\r"), 15)

    def test_terminal_that_has_gone_is_no_reason_to_stop(self):
        progress = self.progress(3)
        self.terminal.close()
        progress.step()
        progress.close()


class OnATerminal(unittest.TestCase):
    def test_it_is_as_wide_as_the_terminal_is_at_the_time(self):
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        with open(theirs, "w", encoding="utf-8") as terminal:
            for columns, wanted in ((30, f"[{'.' * 14}] 0/1,000   0%"), (19, "0/1,000   0%"), (8, "0/1,000"),
                                    (0, f"[{'.' * 24}] 0/1,000   0%")):  # which is not known
                fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
                Progress(1000, terminal, lambda: 0.0).close()
                shown = b""
                while not shown.endswith(b"\n"):
                    shown += os.read(ours, 1000)  # which may come in parts
                self.assertEqual(shown.decode(), f"\r{wanted}\x1b[K\r\n")

    def run_program(self, errors):
        def answer(connection, command):
            connection.sendall(result_line(command["task"]["task_id"], command["task"]["params"]))
        environment = dict(os.environ, PYTHONPATH=os.path.dirname(os.path.dirname(cpu_load_balancer.__file__)))
        return subprocess.run([sys.executable, "-c", PROGRAM, FakeDaemon(self, answer).path], stdout=subprocess.PIPE,
                              stderr=errors, env=environment, text=True, check=True).stdout

    def test_it_is_on_a_terminal_alone(self):
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        said = []

        def read():
            try:
                while True:
                    said.append(os.read(ours, 1000))
            except OSError:
                pass  # the other side is closed
        reader = threading.Thread(target=read)
        reader.start()
        try:
            self.assertEqual(self.run_program(theirs), "1225\n0\n")
        finally:
            os.close(theirs)
            reader.join()
        self.assertIn(b"50/50 100%", b"".join(said))
        with tempfile.TemporaryFile() as file:
            self.assertEqual(self.run_program(file), "1225\n0\n")
            file.seek(0)
            self.assertEqual(file.read(), b"")


if __name__ == "__main__":
    unittest.main()
