"""Stops: ends calls that are not wanted any more, or have run for too long."""

from __future__ import annotations

import time

from . import wire
from .call import Call
from .carrier import Carrier
from .errors import CallTimeoutError
from .tasks import SHORTAGE, Tasks

STOP_SECONDS = 0.2  # so often it is looked whether a call that is to be stopped, and of which the worker says nothing, runs


class Stops:
    """For the pool's thread alone. A worker is asked to stop a call; the daemon is where the call runs."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks

    def look_at(self, carrier: Carrier, now: float) -> None:
        """Do what is due."""
        call, deadline = carrier.timed_call()
        if call is not None and now >= deadline:
            if call.fail(CallTimeoutError(f"{call.name()} has run for longer than {call.timeout} seconds")):
                self.begin(carrier, call)
        for number in [number for number, looked in carrier.stopping.items() if now >= looked + STOP_SECONDS]:
            if number not in carrier.outstanding:
                del carrier.stopping[number]
            elif carrier.bar_behind(number):
                del carrier.stopping[number]  # and its interpreter is held by the call
                self.cancel(carrier, number)
            else:
                carrier.stopping[number] = now  # by another call, before which nothing can be done

    def begin(self, carrier: Carrier, call: Call) -> None:
        """Have call stopped, or not begin."""
        if not carrier.dead and call.number in carrier.outstanding:
            carrier.stopping.setdefault(call.number, time.monotonic())
            carrier.order(wire.STOP, call.number)

    def cancel(self, carrier: Carrier, number: int) -> None:
        """Have the daemon end the call of this number, which runs."""
        try:
            self._tasks.cancel(carrier.number)
        except SHORTAGE:
            carrier.stopping[number] = time.monotonic()  # it is tried again
