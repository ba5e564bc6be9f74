# {"pools": "exclusive shared", "times": 2, "want": {"data": "hello", "stderr_has": "\"GET /greeting HTTP/1.1\" 200 -"}}
"""An HTTP server in a thread, a client in the task; the server's log is the task's stderr."""

import http.server
import threading
import urllib.request


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello")


def main(params, context):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            return urllib.request.urlopen("http://127.0.0.1:%d/greeting" % server.server_port).read().decode()
        finally:
            server.shutdown()
