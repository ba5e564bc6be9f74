# {"pools": "shared", "python": "no", "steps": [{"do": "start", "name": "a", "params": "a"}, {"do": "start", "name": "b", "params": "b"}, {"do": "open", "name": "a"}, {"do": "end", "name": "a"}, {"do": "open", "name": "b"}, {"do": "end", "name": "b"}]}
"""Of two tasks that overlap, both change the same thing. Once none of them runs, it is as it was."""

import gc
import os
import socket


def main(params, context):
    gc.disable()
    socket.setdefaulttimeout({"a": 3, "b": 5}[params])
    context.progress(0)
    with open(os.path.join(os.path.dirname(__file__), params), "rb", 0) as gate:
        gate.read(1)
