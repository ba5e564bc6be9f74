"""The application that uWSGI serves."""
import json

import works


def application(environ, start_response):
    """Do the work that the body names."""
    work, param = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
    body = json.dumps(getattr(works, work)(param)).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
