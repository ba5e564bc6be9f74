# {"pools": "exclusive shared loop", "times": 2, "want": {"data": ["from a child\n", 3]}}
"""asyncio starts a child, reads what it prints and waits for it."""

import asyncio


async def main(params, context):
    child = await asyncio.create_subprocess_exec("sh", "-c", "echo from a child; exit 3", stdout=asyncio.subprocess.PIPE)
    text, _ = await child.communicate()
    return [text.decode(), child.returncode]
