import asyncio


async def main(params, context):
    for i in range(3):
        await asyncio.sleep(0)
        yield i
