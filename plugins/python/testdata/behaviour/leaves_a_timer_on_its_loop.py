# {"pools": "exclusive shared", "steps": [{"params": 0, "want": {"data": "left"}}, {"params": 0.05, "want": {"data": "left"}}]}
"""What is left on a loop is gone with it: asyncio.run closes the one that it made."""

import asyncio


async def main(params, context):
    await asyncio.sleep(params)
    if not params:
        asyncio.get_running_loop().call_later(0.01, print, "a timer of the task before")
    return "left"
