"""wait: for a future, until an alarm."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Optional

from .exceptions import CPULoadBalancerError


async def wait(future: asyncio.Future[Any], deadline: Optional[float], late: CPULoadBalancerError) -> Any:
    """Return the future's result. Raise late after deadline, of time.monotonic(). Who is cancelled gives the future up."""
    if deadline is None or future.done():
        return await future
    loop = asyncio.get_running_loop()
    alarm = loop.call_later(max(0.0, deadline - time.monotonic()), _expire, future, late)
    try:
        return await future
    finally:
        alarm.cancel()


def _expire(future: asyncio.Future[Any], late: CPULoadBalancerError) -> None:
    if not future.done():
        future.set_exception(late)
