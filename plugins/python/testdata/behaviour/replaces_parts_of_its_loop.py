# {"pools": "loop", "python": "no", "times": 2, "want": {"data": 7}}
"""No task can take away what the tasks of a loop share."""

import asyncio
from concurrent.futures import ThreadPoolExecutor


async def main(params, context):
    loop = asyncio.get_running_loop()
    value = await asyncio.to_thread(lambda: 7)
    executor = ThreadPoolExecutor(1)
    loop.set_default_executor(executor)
    executor.shutdown()
    await loop.shutdown_default_executor()
    loop.set_task_factory(lambda loop, coroutine, **options: 1 / 0)
    loop.set_exception_handler(lambda *about: 1 / 0)
    return value
