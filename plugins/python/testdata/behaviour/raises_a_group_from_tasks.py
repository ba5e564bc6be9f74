# {"pools": "exclusive shared loop", "want": {"error": "ExceptionGroup", "traceback_has": "ValueError: of a child task"}}
"""asyncio.TaskGroup raises what its tasks raise."""

import asyncio


async def fails():
    raise ValueError("of a child task")


async def main(params, context):
    async with asyncio.TaskGroup() as group:
        group.create_task(fails())
