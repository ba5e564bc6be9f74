"""A daemon whose every line a test chooses."""

import json
import os
import socket
import tempfile
import threading


def result_line(task_id, data=None):
    """Return the event that says that the task has returned data."""
    result = json.dumps({"task_id": task_id, "status": "completed", "data": data, "error": None}, separators=(",", ":"))
    return f'{{"event":"result","task_id":"{task_id}","cursor":"1.1","result":{result}}}\n'.encode()


def accepted_line(task_id):
    """Return the event that says that the task was accepted."""
    return f'{{"event":"accepted","task_id":"{task_id}","status":"queued"}}\n'.encode()


FULL = (b'HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nConnection: close\r\n\r\n'
        b'{"status":503,"code":"too_many_connections","detail":"there is no room for another connection"}')
NOTHING = b'{"op":"cancel","task_id":"none"}\n'  # by whose refusal a client knows that all before has been read


class FakeDaemon:
    """Takes streams, but refuses the first ones if it is to. For each line of a client's it calls answer(connection, command),
    in a thread for the connection. What cancels nothing it refuses."""

    def __init__(self, test, answer, refuses=0):
        folder = tempfile.TemporaryDirectory(prefix="cpulb-test-")
        test.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "s")
        self.connections = 0
        self._refuses = refuses
        self._answer = answer
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen()
        self._threads = []
        thread = threading.Thread(target=self._accept)
        thread.start()
        test.addCleanup(thread.join)
        test.addCleanup(self._listener.close)
        test.addCleanup(self._listener.shutdown, socket.SHUT_RDWR)

    def _accept(self):
        try:
            while True:
                connection = self._listener.accept()[0]
                self.connections += 1
                if self.connections <= self._refuses:
                    with connection:
                        connection.recv(4096)
                        connection.sendall(FULL)
                    continue
                self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
                self._threads[-1].start()
        except OSError:
            self.join()

    def join(self):
        """Wait until the connections that there were have ended, and what they have brought was answered."""
        for thread in self._threads:
            thread.join()

    def _serve(self, connection):
        with connection, connection.makefile("rb") as lines:
            while lines.readline() not in (b"\r\n", b""):
                pass
            try:
                connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
                for number, line in enumerate(lines, 1):
                    if not line.endswith(b"\n"):  # the client has gone in the midst of it
                        break
                    if line == NOTHING:
                        connection.sendall(b'{"event":"rejected","line":%d,"problem":{"code":"task_not_found"}}\n' % number)
                    elif line.strip():
                        self._answer(connection, json.loads(line))
            except OSError:
                pass  # the client has gone, or the test has ended the connection


class FakeHTTP:
    """Takes one request, of which it reads all, or so many bytes, and answers it."""

    def __init__(self, test, answer, reads=None):
        folder = tempfile.TemporaryDirectory(prefix="cpulb-test-")
        test.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "s")
        self.received = b""
        self._answer, self._reads = answer, reads
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        self.join = self._thread.join
        test.addCleanup(self.join)

    def _serve(self):
        with self._listener, self._listener.accept()[0] as connection:
            while not self._complete():
                read = connection.recv(65536 if self._reads is None else self._reads)
                if not read:
                    return
                self.received += read
            connection.sendall(self._answer)

    def _complete(self):
        if self._reads is not None:
            return len(self.received) >= self._reads
        chunked = b"chunked\r\n" in self.received
        return self.received.endswith(b"\r\n0\r\n\r\n" if chunked else b"\r\n\r\n")
