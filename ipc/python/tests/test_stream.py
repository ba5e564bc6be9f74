"""The stream against a daemon whose every line the test chooses."""

import json
import os
import socket
import tempfile
import threading
import unittest
from concurrent.futures import ThreadPoolExecutor

from cpu_load_balancer.exceptions import ConnectionLostError, SubmissionError
from cpu_load_balancer.mailbox import Mailbox
from cpu_load_balancer.stream import Stream

SECONDS = 30


class Scripted(unittest.TestCase):
    def serve(self, expect, text):
        """Listen, and answer the first expect lines of a client with text, in one
        write; return the path of the socket."""
        folder = tempfile.TemporaryDirectory(prefix="cpulb-test-")
        self.addCleanup(folder.cleanup)
        path = os.path.join(folder.name, "s")
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        listener.bind(path)
        listener.listen()

        def answer():
            connection = listener.accept()[0]
            with connection, connection.makefile("rb") as lines:
                while lines.readline() != b"\r\n":
                    pass
                connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
                for _ in range(expect):
                    lines.readline()
                connection.sendall(text)
                lines.read()  # until the client has gone
        thread = threading.Thread(target=answer)
        thread.start()
        self.addCleanup(thread.join)
        return path

    def open(self, expect, *answers):
        stream = Stream(self.serve(expect, b"".join(json.dumps(a).encode() + b"\n" for a in answers)))
        self.addCleanup(stream.close)
        return stream

    def submit_by_two_threads(self, answers):
        stream = self.open(2, *answers)

        def submit(_):
            try:
                return stream.submit("id", "{}", SECONDS)
            except SubmissionError as error:
                return error.code
        with ThreadPoolExecutor(2) as threads:
            return sorted(threads.map(submit, range(2)))

    def test_each_of_two_threads_with_one_task_is_answered(self):
        accepted = {"event": "accepted", "task_id": "id"}
        self.assertEqual(self.submit_by_two_threads([accepted, accepted]), ["id", "id"])

    def test_rejection_goes_to_the_line_that_it_names(self):
        for line in (1, 2):
            answers = [{"event": "rejected", "task_id": None, "line": line, "problem": {"code": "draining"}},
                       {"event": "accepted", "task_id": "id"}]
            self.assertEqual(self.submit_by_two_threads(answers), ["draining", "id"])

    def test_answer_that_nobody_waits_for_any_more_is_not_kept(self):
        stream = self.open(2, {"event": "accepted", "task_id": "late"}, {"event": "accepted", "task_id": "id"})
        self.assertRaises(TimeoutError, stream.submit, "late", "{}", 0)
        self.assertEqual(stream.submit("id", "{}", SECONDS), "id")
        self.assertEqual(stream._post._asking, {})

    def test_line_that_is_no_json_ends_the_connection(self):
        stream = Stream(self.serve(1, b"{oops\n"))
        self.addCleanup(stream.close)
        self.assertRaises(ConnectionLostError, stream.submit, "id", "{}", SECONDS)
        self.assertFalse(stream.usable)


class Unclaimed(unittest.TestCase):
    def kept(self, mailbox, ids):
        return [i for i in ids if mailbox.take(i) is not None]

    def test_results_are_bounded_by_count_and_size(self):
        for count, size, kept in ((3, 1000, "cde"), (10, 100, "cde"), (10, 98, "de"), (10, 1, "e")):
            mailbox = Mailbox(count, size)
            for task_id in "abcde":
                mailbox.put(task_id, {"of": task_id}, 33)
            self.assertEqual(self.kept(mailbox, "abcde"), list(kept), (count, size))

    def test_what_was_taken_or_replaced_takes_no_room(self):
        mailbox = Mailbox(10, 100)
        for _ in range(5):
            mailbox.put("a", {}, 50)
        mailbox.put("b", {}, 50)
        mailbox.take("a")
        mailbox.put("c", {}, 50)
        self.assertEqual(self.kept(mailbox, "abc"), ["b", "c"])


if __name__ == "__main__":
    unittest.main()
