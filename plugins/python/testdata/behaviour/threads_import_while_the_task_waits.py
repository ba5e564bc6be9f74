# {"pools": "exclusive shared loop", "fresh": true, "times": 2, "want": {"data": [0, 1, 2, 3]}}
"""Executors of asyncio import modules in their threads while the coroutine awaits."""

import asyncio
import importlib


def load(n):
    return importlib.import_module("piece_%d_of_many" % n).N


async def main(params, context):
    return await asyncio.gather(*(asyncio.to_thread(load, n) for n in range(4)))
