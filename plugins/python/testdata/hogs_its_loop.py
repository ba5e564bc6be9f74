"""Ways not to let the loop go on."""

import asyncio


def spin(context):
    context.progress(0, "begun")
    while True:
        pass


async def child(context):
    spin(context)


async def main(params, context):
    if params == "catches once":
        try:
            spin(context)
        except BaseException:
            spin(context)
    if params == "in a child":
        await asyncio.create_task(child(context))
    if params == "catches the cancellation, then spins":
        try:
            context.progress(0, "begun")
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            spin(context)
    if params == "catches the child's":
        await asyncio.gather(child(context), asyncio.sleep(3600), return_exceptions=True)
        spin(context)
    if params == "in an iterator":
        async for _ in forever(context):
            pass
    try:
        spin(context)
    finally:
        print("cleaned up")


async def forever(context):
    context.progress(0, "begun")
    while True:
        yield 1
