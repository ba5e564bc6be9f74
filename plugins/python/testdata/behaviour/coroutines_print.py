# {"pools": "loop", "python": "no", "steps": [{"do": "start", "name": "a", "params": "a"}, {"do": "start", "name": "b", "params": "b"}, {"do": "open", "name": "b"}, {"do": "end", "name": "b", "want": {"data": "b", "stdout": "begin b\nend b\n"}}, {"do": "open", "name": "a"}, {"do": "end", "name": "a", "want": {"data": "a", "stdout": "begin a\nend a\n"}}]}
"""Of two coroutines on one loop each has its own output and context variables, in its executor's threads, too."""

import asyncio
import contextvars
import os

name = contextvars.ContextVar("name")


def wait(path):
    with open(path, "rb", 0) as gate:
        gate.read(1)
    print("end", name.get())


async def main(params, context):
    name.set(params)
    print("begin", params)
    context.progress(0)
    await asyncio.to_thread(wait, os.path.join(os.path.dirname(__file__), params))
    return name.get()
