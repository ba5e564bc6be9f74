# {"pools": "loop", "want": {"data": [50000, 50000, 50000]}}
"""The kernel's timers are as exact as they are anywhere, on a loop, in its threads and in its children."""

import asyncio
import ctypes
import sys

PR_GET_TIMERSLACK = 30
CHILD = "import ctypes; print(ctypes.CDLL(None).prctl(%d))" % PR_GET_TIMERSLACK


def slack():
    return ctypes.CDLL(None).prctl(PR_GET_TIMERSLACK)


async def main(params, context):
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", CHILD, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    return [slack(), await asyncio.to_thread(slack), int(out)]
