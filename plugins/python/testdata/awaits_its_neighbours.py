"""Goes on only when as many calls as params say wait here at once."""

import asyncio

arrived = []
all_here = asyncio.Event()


async def main(params, context):
    arrived.append(context.task_id)
    print("hello from", context.task_id)
    if len(arrived) == params:
        all_here.set()
    await all_here.wait()
    print("bye from", context.task_id)
    return context.slot
