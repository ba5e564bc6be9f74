import asyncio


async def main(params, context):
    context.progress(0, "begun")
    try:
        await asyncio.sleep(3600)
    finally:
        print("cleaned up")
