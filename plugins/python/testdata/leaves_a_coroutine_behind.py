"""Returns while a coroutine that it started still waits; "was it ended?" asks."""

import asyncio

ended = []


async def lingers():
    try:
        await asyncio.Event().wait()
    finally:
        ended.append(True)


async def main(params, context):
    if params == "was it ended?":
        return len(ended)
    asyncio.ensure_future(lingers())
    await asyncio.sleep(0)
    return "returned"
