# {"pools": "exclusive shared loop", "times": 2, "want": {"data": ["TimeoutError", "TimeoutError", "CancelledError"]}}
"""asyncio's timeouts, and a cancelled task of one's own, are no end of the whole."""

import asyncio


async def main(params, context):
    answer = []
    for wait in (asyncio.wait_for(asyncio.sleep(3600), 0.01), timed()):
        try:
            await wait
        except TimeoutError as error:
            answer.append(type(error).__name__)
    task = asyncio.create_task(asyncio.sleep(3600))
    task.cancel()
    try:
        await task
    except asyncio.CancelledError as error:
        answer.append(type(error).__name__)
    return answer


async def timed():
    async with asyncio.timeout(0.01):
        await asyncio.sleep(3600)
