"""An Executor's books on workers that the test plays."""

import os
import select
import socket
import sys
import types
import unittest
from collections import deque

from cpu_load_balancer.futures import keeper, wire
from cpu_load_balancer.futures.call import Call
from cpu_load_balancer.futures.door import Arrival
from cpu_load_balancer.futures.function import Function
from cpu_load_balancer.futures.pool import Options, Pool
from cpu_load_balancer.futures.turn import OUTBOX_HEADER

SECONDS = 60
VERSION = "%d.%d" % sys.version_info[:2]


class Exits:
    """Raises error when it is pickled, or when it is unpickled."""

    def __init__(self, error, unpickled=0):
        self.error, self.unpickled = error, unpickled

    def __reduce__(self):
        if not self.unpickled:
            raise self.error("of the call")
        return exits, (self.error,)


def exits(error):
    raise error("of the call")


class PlayedTasks:
    """Tasks of the daemon that only exist in the test's mind."""

    def __init__(self):
        self.ended, self.started, self.cancelled = deque(), 0, []

    def start(self):
        self.started += 1

    def cancel(self, number):
        self.cancelled.append(number)

    def close(self, connected):
        pass


class Played(unittest.TestCase):
    """Has a pool and its keeper, but neither a daemon nor a worker."""

    def setUp(self):
        self.numbers = 0
        self.function = Function(0, None)
        self.function.nanoseconds = 1000

    def keep(self, workers=1, calls_each=0):
        """Have a pool and its keeper, whose thread does not run."""
        self.pool = Pool(Options(workers, dumps=None, calls_each=calls_each))
        door = types.SimpleNamespace(descriptor=os.eventfd(0), open=None, arrived=deque(), close=lambda: None)
        self.addCleanup(os.close, door.descriptor)
        self.addCleanup(self.pool.bell.close)
        self.addCleanup(self.pool.poll.close)
        self.tasks = PlayedTasks()
        self.keeper = keeper.Keeper(self.pool, door, self.tasks, lambda: None)
        self.door = door

    def arrive(self, number=1):
        """Have a worker connect; return its ends of its connections, and its outbox."""
        ends = []
        outbox = self.outbox = os.memfd_create("outbox")
        self.addCleanup(os.close, outbox)
        os.ftruncate(outbox, OUTBOX_HEADER.size + 100)
        for what in ("calls", "control"):
            ours, theirs = socket.socketpair()
            theirs.settimeout(SECONDS)
            self.addCleanup(ours.close)
            self.addCleanup(theirs.close)
            ends.append(theirs)
            self.door.arrived.append(Arrival(what, number, os.getpid(), VERSION, ours, os.dup(outbox) if what == "calls" else -1))
        self.keeper._look()
        return (*ends, outbox)

    def submit(self, count, timeout=None):
        calls = []
        for _ in range(count):
            self.numbers += 1
            calls.append(Call(self.numbers, wire.CALL, self.function, (pow, 2, 3), {}, timeout))
            calls[-1].encoded = b"call", None
            self.pool.add(calls[-1])
        for carrier in self.pool.carriers.values():
            self.pool.feed(carrier)
        return calls

    def carrier(self):
        """Return the only one that there is."""
        (carrier,) = self.pool.carriers.values()
        return carrier

    def taken(self):
        return list(self.carrier().outstanding)

    def run_calls(self, numbers):
        """Have calls return None."""
        self.carrier().receive([(wire.RESULT, number, 1000, b"N.", -1) for number in numbers])
        self.pool.feed(self.carrier())

    def handle(self, connection, events=select.EPOLLIN):
        """Have the keeper's thread do what it does when connection can be read."""
        self.keeper._handlers[connection.fileno()](events)
        self.keeper._look()
