import asyncio


async def main(params, context):
    await asyncio.sleep(0)
    raise ValueError("awaited")
