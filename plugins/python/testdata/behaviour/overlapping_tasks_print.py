# {"pools": "shared", "python": "no", "steps": [{"do": "start", "name": "a", "params": "a"}, {"do": "start", "name": "b", "params": "b"}, {"do": "open", "name": "b"}, {"do": "end", "name": "b", "want": {"stdout": "begin b\nend b\n"}}, {"do": "open", "name": "a"}, {"do": "end", "name": "a", "want": {"stdout": "begin a\nend a\n"}}]}
"""Of two tasks at a time each has its own output, and its own redirections."""

import contextlib
import io
import os


def main(params, context):
    print("begin", params)
    with contextlib.redirect_stderr(io.StringIO()):
        context.progress(0)
        with open(os.path.join(os.path.dirname(__file__), params), "rb", 0) as gate:
            gate.read(1)
    print("end", params)
