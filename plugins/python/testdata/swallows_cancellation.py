"""Takes a cancellation for somebody else's, twice."""

import asyncio


async def main(params, context):
    context.progress(0.5)
    for _ in range(2):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass
    await asyncio.Event().wait()
