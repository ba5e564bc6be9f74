# {"pools": "exclusive shared", "needs": "requests", "times": 2, "want": {"data": [200, {"path": "/a?b=c", "agent": true}, "ConnectionError"]}, "keeps": "warnings meta_path environ environ_of_c builtins"}
"""requests, against a server in a thread."""

import http.server
import json
import threading

import requests


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = json.dumps({"path": self.path, "agent": self.headers["User-Agent"].startswith("python-requests")}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *about):
        pass


def main(params, context):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever).start()
        url = "http://127.0.0.1:%d/a" % server.server_port
        with requests.Session() as session:
            session.trust_env = False
            answer = session.get(url, params={"b": "c"}, timeout=30)
        server.shutdown()
    try:
        requests.get("http://127.0.0.1:1/", timeout=30, proxies={"http": ""})
    except requests.ConnectionError as error:
        return [answer.status_code, answer.json(), type(error).__name__]
