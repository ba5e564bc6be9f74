import asyncio


async def double(value):
    await asyncio.sleep(0)
    return value * 2


async def main(params, context):
    asyncio.get_running_loop().create_task(asyncio.sleep(3600))
    return await asyncio.gather(*(double(v) for v in params))
