# {"pools": "shared", "python": "no", "steps": [{"do": "start", "name": "gate"}, {"function": "other", "want": {"stdout": "of the other\n"}}, {"do": "open", "name": "gate"}, {"do": "end", "name": "gate", "want": {"data": "", "stdout": "after\n"}}]}
"""The redirection of one task is not the other one's."""

import contextlib
import io
import os


def main(params, context):
    with contextlib.redirect_stdout(io.StringIO()) as text:
        context.progress(0)
        with open(os.path.join(os.path.dirname(__file__), "gate"), "rb", 0) as gate:
            gate.read(1)
    print("after")
    return text.getvalue()


def other(params, context):
    print("of the other")
