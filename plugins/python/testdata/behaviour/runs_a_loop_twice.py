# {"pools": "exclusive shared loop", "times": 2, "want": {"data": [1, 2, "RuntimeError"]}}
"""asyncio.run, twice, in a plain function; then there is no current loop, as python3 has it."""

import asyncio


async def give(value):
    await asyncio.sleep(0)
    return value


def main(params, context):
    answers = [asyncio.run(give(1)), asyncio.run(give(2))]
    try:
        asyncio.get_running_loop()
    except RuntimeError as error:
        return [*answers, type(error).__name__]
