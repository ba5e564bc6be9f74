# {"pools": "exclusive", "times": 2, "want": {"data": "handled"}}
"""loop.add_signal_handler works in the main thread, and its handler is gone with the loop."""

import asyncio
import os
import signal


async def main(params, context):
    handled = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, handled.set)
    os.kill(os.getpid(), signal.SIGUSR1)
    await handled.wait()
    return "handled"
