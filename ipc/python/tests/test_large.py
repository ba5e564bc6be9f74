"""Values of a size for which copies count."""

import json
import socket
import threading
import unittest
from unittest import mock

from cpu_load_balancer import Engine, Result, Task
from cpu_load_balancer.large import LARGE, Large, joined
from cpu_load_balancer.lines import Lines

from fake import FakeDaemon, result_line

# Each in the midst of a text that is large in any case.
INSIDE = ("", '"', "\\", "\n", "\x00", "\x1f", "\x7f", "ü", "\ud83d\ude00", "😀", "\ud800", "</", "\u2028")


def values():
    """Yield large values: plain, with something of each kind in the middle of a piece and around its edge."""
    for inside in INSIDE:
        for before in (10, LARGE, (104 << 10) - 1, 2 * (104 << 10) - 1):
            yield "x" * before + inside * 2 + "y" * LARGE
    yield {"list": ["x" * LARGE, None, "ü\n"]}


class Sent(unittest.TestCase):
    def test_large_task_is_the_same_json_as_in_one_piece(self):
        for value in values():
            for options in ({}, {"labels": {"a": "b"}}):
                task = Task.create("x.py", value, **options)
                text = task.to_text()
                self.assertIsInstance(text, Large)
                line = b"".join(joined([b"1\n", text.between("[", "]\n"), b"2\n"]))
                lines = line.split(b"\n")
                self.assertEqual((len(lines), lines[0], lines[2]), (4, b"1", b"2"))
                expected = json.loads(json.dumps(task.to_dict()))  # which joins the halves of a surrogate pair
                self.assertEqual(json.loads(lines[1]), [expected])
                self.assertEqual(json.loads(task.to_json()), expected)

    def test_large_task_is_not_copied_as_a_whole(self):
        pieces = list(joined([Task.create("x.py", "x" * (4 << 20)).to_text()]))
        self.assertLess(max(map(len, pieces)), 4 * (64 << 10))


class Received(unittest.TestCase):
    def test_large_result_is_what_json_says(self):
        for value in values():
            for ascii_only in (True, False):
                if isinstance(value, str) and not ascii_only and any("\ud800" <= c < "\ue000" for c in value):
                    continue  # what has no UTF-8 is escaped
                wire = {"task_id": "0" * 36, "status": "completed", "data": value, "error": None, "stdout": "o"}
                line = json.dumps(wire, separators=(",", ":"), ensure_ascii=ascii_only).encode()
                result = Result.from_json(bytearray(b"{" + line + b"}"), 1)
                self.assertEqual(result.data, json.loads(line)["data"])
                self.assertEqual((result.error, result.stdout, result.is_success), (None, "o", True))

    def test_long_line_comes_whole_between_short_ones(self):
        ours, theirs = socket.socketpair()
        with mock.patch("cpu_load_balancer.lines.connect", return_value=ours), theirs:
            theirs.sendall(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
            lines = Lines("")
            self.addCleanup(lines.close)
            expected = [b"short", b"x" * 5_000_000, b"", b"y" * 70_000, b"z" * 3_000_000, b"end"]
            sender = threading.Thread(target=theirs.sendall, args=(b"\n".join(expected) + b"\n",))
            sender.start()
            received = []
            while len(received) < len(expected):
                received += lines.receive(30)
            sender.join()
            self.assertEqual(received, expected)

    def test_large_value_goes_there_and_back(self):
        def echo(connection, command):
            connection.sendall(result_line(command["task"]["task_id"], command["task"]["params"]))
        with Engine(FakeDaemon(self, echo).path) as engine:
            for value in ("x" * 3_000_000, 'x"\n' * 1_000_000, {"a": ["x" * 2_000_000]}):
                self.assertEqual(engine.run_task(Task.create("/x.py", value)).data, value)


if __name__ == "__main__":
    unittest.main()
