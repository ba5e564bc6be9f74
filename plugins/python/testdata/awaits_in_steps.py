import asyncio


async def main(params, context):
    while True:
        await asyncio.sleep(0.001)
