# {"pools": "exclusive shared", "times": 2, "want": {"data": "_UnixDefaultEventLoopPolicy"}, "changes": "loop_policy"}
"""A policy of one's own, as uvloop.install() sets it, is gone with the task."""

import asyncio


class Mine(asyncio.DefaultEventLoopPolicy):
    """As good as the default one."""


def main(params, context):
    found = type(asyncio.get_event_loop_policy()).__name__
    asyncio.set_event_loop_policy(Mine())
    return found
