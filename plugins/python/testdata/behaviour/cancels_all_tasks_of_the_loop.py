# {"pools": "loop", "python": "no", "steps": [{"do": "start", "name": "neighbour", "function": "neighbour"}, {"want": {"data": "cancelled mine"}}, {"do": "open", "name": "gate"}, {"do": "end", "name": "neighbour", "function": "neighbour", "want": {"data": "not disturbed"}}]}
"""The usual end of an asyncio program cancels all tasks but its own: those of its own program."""

import asyncio
import os


async def neighbour(params, context):
    context.progress(0)
    with open(os.path.join(os.path.dirname(__file__), "gate"), "rb", 0) as gate:
        await asyncio.get_running_loop().run_in_executor(None, gate.read, 1)
    return "not disturbed"


async def main(params, context):
    mine = asyncio.create_task(asyncio.sleep(3600))
    await asyncio.sleep(0)
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    try:
        await mine
    except asyncio.CancelledError:
        return "cancelled mine"
