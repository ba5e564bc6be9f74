"""Holds up the loop not by its own lines but by what its steps end with: that the loop is to take the next one."""

import asyncio
import time


async def main(params, context):
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    soon = loop.call_soon

    def slow(*args, **options):
        until = time.monotonic() + 0.2
        while asyncio.current_task() is task and time.monotonic() < until:
            pass
        return soon(*args, **options)

    loop.call_soon = slow
    context.progress(0, "begun")
    try:
        while True:
            await asyncio.sleep(0)
    finally:
        vars(loop).pop("call_soon", None)
