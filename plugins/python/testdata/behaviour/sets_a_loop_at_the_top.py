# {"pools": "exclusive", "python": "once", "times": 3, "want": {"data": 5}}
"""A loop that is set while the script is loaded is there at each of its runs."""

import asyncio

asyncio.set_event_loop(asyncio.new_event_loop())


async def work():
    return 5


def main(params, context):
    return asyncio.get_event_loop().run_until_complete(work())
