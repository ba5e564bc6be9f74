# {"pools": "exclusive shared", "times": 2, "want": {"data": [1, 4, 9]}}
"""A task may shut down the executor of its loop; the next one has another."""

import asyncio


async def main(params, context):
    squares = [await asyncio.to_thread(pow, n, 2) for n in (1, 2, 3)]
    await asyncio.get_running_loop().shutdown_default_executor()
    return squares
