# {"pools": "exclusive shared", "python": "no", "want": {"code": "exit", "error": "SystemExit", "stdout": "start\nend\n", "any_output": true}}
"""A child task exits; the main coroutine's clean-up awaits to its end, as under asyncio.run."""

import asyncio
import sys


async def leaves():
    await asyncio.sleep(0)
    sys.exit(4)


async def main(params, context):
    child = asyncio.create_task(leaves())  # noqa: F841
    try:
        await asyncio.sleep(600)
    finally:
        print("start")
        await asyncio.sleep(0.01)
        print("end")
