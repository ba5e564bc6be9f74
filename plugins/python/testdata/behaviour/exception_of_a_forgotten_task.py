# {"pools": "exclusive shared", "times": 2, "want": {"data": "done", "stderr_has": "Task exception was never retrieved"}}
"""asyncio tells of an exception that nobody asked for: through logging, on stderr."""

import asyncio
import gc


async def fails():
    raise LookupError("nobody asks")


async def main(params, context):
    task = asyncio.create_task(fails())
    await asyncio.sleep(0)
    del task
    gc.collect()
    return "done"
