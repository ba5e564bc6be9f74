# {"pools": "exclusive shared loop", "times": 2, "want": {"data": ["RuntimeError", "in a thread"]}}
"""A loop can't run within a running one, but in a thread beside it."""

import asyncio
import threading


async def where():
    return threading.current_thread().name


def in_a_thread(name):
    answer = []
    thread = threading.Thread(target=lambda: answer.append(asyncio.run(where())), name=name)
    thread.start()
    thread.join()
    return answer[0]


async def main(params, context):
    work = where()
    try:
        asyncio.run(work)
    except RuntimeError as error:
        work.close()
        return [type(error).__name__, await asyncio.to_thread(in_a_thread, "in a thread")]
