# {"pools": "exclusive shared loop", "steps": [{"params": "await"}, {"params": "close"}, {"params": "await", "want": {"data": "awaited"}}]}
"""Plain asyncio code of the old kind closes the loop that it got. Coroutines of others run on their own loops."""

import asyncio


async def await_a_little():
    await asyncio.sleep(0)
    return "awaited"


def main(params, context):
    if params == "await":
        return await_a_little()
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    asyncio.get_event_loop().run_until_complete(await_a_little())
    loop.close()
