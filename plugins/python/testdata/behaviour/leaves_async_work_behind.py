# {"pools": "exclusive shared", "times": 2, "want": {"data": "done", "stdout": "tidied up\nclosed the generator\n"}}
"""asyncio.run cancels what still runs, and closes async generators."""

import asyncio


async def endless():
    try:
        await asyncio.sleep(3600)
    finally:
        print("tidied up")


async def numbers():
    try:
        while True:
            yield 1
    finally:
        print("closed the generator")

kept = []


async def main(params, context):
    kept[:] = [asyncio.create_task(endless()), numbers()]
    await asyncio.sleep(0)
    await kept[1].__anext__()
    return "done"
