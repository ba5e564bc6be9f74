# {"pools": "exclusive", "times": 2, "want": {"data": ["first", "second"]}, "changes": "event_loop"}
"""asyncio.get_event_loop() in the main thread makes a loop, which is there for the whole task; the next one has its own."""

import asyncio

loops = []


async def give(value):
    await asyncio.sleep(0)
    return value


def main(params, context):
    loop = asyncio.get_event_loop()
    assert loop not in loops
    loops.append(loop)
    return [loop.run_until_complete(give("first")), asyncio.get_event_loop().run_until_complete(give("second"))]
