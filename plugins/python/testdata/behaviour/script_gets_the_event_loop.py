# {"pools": "exclusive shared", "function": "__main__", "params": [], "want": {"stdout": "awaited\n"}, "only": "3.11"}
"""asyncio.get_event_loop() makes a loop in the main thread."""

import asyncio
import warnings

warnings.simplefilter("ignore", DeprecationWarning)  # which later versions give when they make one


async def say():
    await asyncio.sleep(0)
    print("awaited")


asyncio.get_event_loop().run_until_complete(say())
