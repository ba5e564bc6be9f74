"""Long answers, and bodies that are sent while they are made."""

import unittest
from http.client import HTTPException

from cpu_load_balancer import Engine, SubmissionError, Task
from cpu_load_balancer.api import follow
from cpu_load_balancer.chunks import Chunks
from cpu_load_balancer.exceptions import ConnectionLostError
from fake import FakeHTTP

BODY = b"5\r\nab\ncd\r\n1;of=no account\r\n\n\r\n3\r\nef\n\r\n0\r\n\r\n"


class Long(unittest.TestCase):
    def test_answer_is_read_however_it_is_cut(self):
        for step in range(1, len(BODY)):
            chunks = Chunks()
            text = b"".join(chunks.take(BODY[i:i + step]) for i in range(0, len(BODY), step) if not chunks.ended)
            self.assertEqual((text, chunks.ended), (b"ab\ncd\nef\n", True), step)

    def test_answer_that_ends_too_early_or_has_no_lengths_is_refused(self):
        for pieces in ((b"5\r\nab", b""), (b"x\r\n",), (b"1" * 2000,), (b"\r\n",), (b"-5\r\nab",)):
            chunks = Chunks()
            with self.assertRaises(HTTPException):
                for piece in pieces:
                    chunks.take(piece)

    def test_lines_come_whole_and_those_that_came_together_come_together(self):
        server = FakeHTTP(self, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + BODY)
        self.assertEqual([line for lines in follow(server.path, "/x", 30) for line in lines], [b"ab", b"cd", b"ef"])

    def test_answer_that_is_cut_off_is_no_end(self):
        server = FakeHTTP(self, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + BODY[:-5])
        self.assertRaises(ConnectionLostError, lambda: list(follow(server.path, "/x", 30)))

    def test_batch_is_sent_in_pieces(self):
        server = FakeHTTP(self, b'HTTP/1.1 202 Accepted\r\nContent-Length: 46\r\n\r\n'
                          b'{"batch_id":"b","task_ids":["1"],"errors":[]}\n')
        calls = Engine(server.path)
        self.assertEqual(calls.submit_batch(Task.create("/x.py", n) for n in range(5000)).batch_id, "b")
        self.assertEqual(server.received.count(b'"params":'), 5000)
        self.assertGreater(server.received.count(b"\n\r\n"), 5)

    def test_batch_of_which_a_task_has_no_json_form_is_not_sent_to_its_end(self):
        server = FakeHTTP(self, b"")
        calls = Engine(server.path)
        with self.assertRaises(SubmissionError):
            calls.submit_batch([Task.create("/x.py")] * 2000 + [Task.create("/x.py", {1})])
        server.join()
        self.assertFalse(server.received.endswith(b"0\r\n\r\n"))

    def test_refusal_of_a_body_is_told_though_it_was_not_read(self):
        text = b'{"code":"too_many_in_flight","detail":"there is no room"}'
        server = FakeHTTP(self, b"HTTP/1.1 429 Too Many\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text), reads=100)
        calls = Engine(server.path)
        with self.assertRaisesRegex(Exception, "there is no room"):
            calls.submit_batch([Task.create("/x.py", "x" * 10_000)] * 1000)


if __name__ == "__main__":
    unittest.main()
