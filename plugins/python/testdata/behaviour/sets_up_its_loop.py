# {"pools": "exclusive shared", "times": 2, "want": {"data": [false, null, null]}}
"""Each task has a loop on which nothing has been set."""

import asyncio


async def main(params, context):
    loop = asyncio.get_running_loop()
    found = [loop.get_debug(), loop.get_exception_handler(), loop.get_task_factory()]
    loop.set_debug(True)
    loop.set_exception_handler(print)
    loop.set_task_factory(lambda loop, work, **more: asyncio.Task(work, loop=loop, **more))
    return found
