# {"pools": "exclusive shared", "function": "__main__", "params": [], "want": {"stdout": "awaited\n"}, "only": "3.11"}
"""asyncio.get_event_loop() makes a loop in the main thread."""

import asyncio


async def say():
    await asyncio.sleep(0)
    print("awaited")


asyncio.get_event_loop().run_until_complete(say())
