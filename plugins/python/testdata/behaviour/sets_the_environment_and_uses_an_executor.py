# {"pools": "exclusive shared", "times": 2, "want": {"data": [null, "on"]}, "changes": "environ"}
"""A thread sees the environment that its task has set, and the next task does not."""

import asyncio
import os


async def main(params, context):
    found = os.environ.get("BEHAVIOUR_EXECUTOR")
    os.environ["BEHAVIOUR_EXECUTOR"] = "on"
    return [found, await asyncio.get_running_loop().run_in_executor(None, os.getenv, "BEHAVIOUR_EXECUTOR")]
