import asyncio


async def main(params, context):
    await asyncio.Event().wait()
