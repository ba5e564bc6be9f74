"""Holds the loop up for a while at each step, and catches what it is stopped by, a few times."""

import asyncio
import random
import time


async def main(params, context):
    context.progress(0, "begun")
    caught = 0
    while True:
        try:
            until = time.monotonic() + random.uniform(0.03, 0.09)
            while time.monotonic() < until:
                pass
            await asyncio.sleep(0)
        except BaseException:
            caught += 1
            if caught > params:
                raise
