# {"pools": "exclusive shared loop", "times": 2, "want": {"data": "mine", "stdout": "in the executor\nin to_thread\n"}}
"""Threads of a loop's executor print to the task that uses them; to_thread has the task's context variables."""

import asyncio
import contextvars

whose = contextvars.ContextVar("whose", default="nobody's")


def work(where):
    print("in", where)
    return whose.get()


async def main(params, context):
    whose.set("mine")
    await asyncio.get_running_loop().run_in_executor(None, work, "the executor")
    return await asyncio.to_thread(work, "to_thread")
