"""uWSGI by its own protocol over a Unix socket, which is how a web server speaks to it."""
import json
import os
import re
import socket
import struct
import subprocess

from drive import System, by_threads, serve, server, wait_for


class Server(System):
    settings = ("master, one process a slot (one with 64 threads for the tasks that wait), no log of requests, uwsgi protocol over a Unix socket, a connection "
                "a request; one by one means two requests for each slot under way. It queues and tracks nothing")

    def __init__(self, options):
        self._path = os.path.abspath("uwsgi.sock")
        drivers = os.path.dirname(os.path.abspath(__file__))
        how = ["--threads", str(options.slots)] if options.waiting else ["--processes", str(options.slots)]
        server("uwsgi", "--plugin", "python3", "--master", "--die-on-term", "--need-app", "--disable-logging", "--socket", self._path,
               "--chdir", drivers, "--wsgi-file", os.path.join(drivers, "uwsgi_app.py"), "--buffer-size", "8192", *how)
        self._threads = options.slots if options.waiting else 2 * options.slots
        wait_for(lambda: self.one("noop", 1) == 1, "uwsgi")
        self.each("noop", list(range(64)))

    def versions(self):
        said = subprocess.run(["uwsgi", "--version"], capture_output=True, text=True, check=True).stdout
        return "uWSGI " + re.search(r"\S+", said).group(0)

    def one(self, work, param):
        body = json.dumps([work, param]).encode()
        names = b"".join(struct.pack("<H", len(part)) + part for part in (
            b"REQUEST_METHOD", b"POST", b"PATH_INFO", b"/", b"CONTENT_LENGTH", str(len(body)).encode()))
        with socket.socket(socket.AF_UNIX) as conn:
            conn.connect(self._path)
            conn.sendall(struct.pack("<BHB", 0, len(names), 0) + names + body)
            answer = bytearray()
            while part := conn.recv(1 << 20):
                answer += part
        head, _, result = answer.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200") and not head.startswith(b"HTTP/1.0 200"):
            raise OSError(f"uwsgi answered {bytes(head[:100])!r}")
        return json.loads(result)

    def each(self, work, params):
        return by_threads(self._threads, lambda param: self.one(work, param), params)


if __name__ == "__main__":
    serve(Server)
