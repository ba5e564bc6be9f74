# {"pools": "exclusive shared loop", "times": 2, "want": {"data": [28, "0.333"]}}
"""The decimal context of a coroutine is its task's own."""

import asyncio
import decimal


async def main(params, context):
    found = decimal.getcontext().prec
    decimal.getcontext().prec = 3
    await asyncio.sleep(0)
    return [found, str(decimal.Decimal(1) / 3)]
