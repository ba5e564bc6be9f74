"""What a worker does with what its Executor sends, which the test plays."""

import os
import pickle
import socket
import sys
import threading
import types
import unittest
from collections import deque
from unittest import mock

from cpu_load_balancer.futures import wire
from cpu_load_balancer.futures.turn import BARRED_AT, OUTBOX_HEADER, Turn
from played import Exits

SECONDS = 60


class Cancelled(BaseException):
    pass


class Turns(unittest.TestCase):
    """What a worker does with what the test sends it."""

    def begin(self):
        """Return a turn, and the Executor's ends of its connections."""
        calls, ours = socket.socketpair()
        control, theirs = socket.socketpair()
        for each in (calls, ours, control, theirs):
            self.addCleanup(each.close)
        output = mock.Mock()
        ours.sendall(2 * wire.frame(wire.PREPARE))  # in place of stdout and stderr
        with mock.patch.dict(sys.modules, cpulb=types.SimpleNamespace(TaskCancelled=Cancelled)):
            turn = Turn(pickle.dumps, output, calls, control, {}, types.SimpleNamespace(cancelled=False))
        self.addCleanup(turn.close)
        return turn, ours, theirs

    def test_call_that_comes_while_others_are_taken_back_is_not_lost(self):
        first, second = (wire.CALL, 1, 1, b"", -1), (wire.CALL, 2, 1, b"", -1)
        for take in (lambda turn: turn._take_back(), lambda turn: turn._stop(1)):
            turn, _, _ = self.begin()
            reader = threading.Thread(target=turn._keep, args=([second],))

            class Watched(deque):
                def __iter__(self):
                    for frame in list(super().__iter__()):
                        reader.start()
                        reader.join(0.1)  # or it waits until who looks through the calls is done
                        yield frame

            turn.waiting = Watched([first])
            take(turn)
            reader.join(SECONDS)
            self.assertEqual(turn.waiting.pop(), second)

    def test_function_whose_module_exits_when_it_is_imported_fails_its_calls_alone(self):
        turn, ours, _ = self.begin()
        nothing = pickle.dumps(((), {}))
        for number, value in ((1, Exits(SystemExit, 1)), (2, os.getpid)):
            ours.sendall(wire.frame(wire.FUNCTION, 0, number, pickle.dumps(value)) + wire.frame(wire.CALL, number, number, nothing))
        ours.sendall(wire.frame(wire.CALL, 3, 2, pickle.dumps((Exits(SystemExit, 1), {}))))
        ours.shutdown(socket.SHUT_WR)
        turn.run()
        ours.settimeout(SECONDS)
        incoming = wire.Incoming(ours)
        frames = incoming.read()
        while len(frames) < 4:
            frames += incoming.read()
        self.assertEqual([frame[:2] for frame in frames[1:]], [(wire.UNREADABLE, 1), (wire.RESULT, 2), (wire.UNREADABLE, 3)])

    def test_turn_ends_when_what_the_executor_orders_can_not_be_done(self):
        turn, _, theirs = self.begin()
        with mock.patch.object(turn, "_obey_one", side_effect=IndexError):
            theirs.sendall(wire.frame(wire.STOP, 1))
            turn.run()
        self.assertTrue(turn.last)

    def test_barred_worker_begins_no_other_call(self):
        began = []

        def bar():
            began.append(1)
            outbox[BARRED_AT] = 1

        turn, _, _ = self.begin()
        outbox = turn.outbox
        turn.functions[1], turn.functions[2] = bar, lambda: began.append(2)
        nothing = pickle.dumps(((), {}))
        turn.waiting.extend([(wire.CALL, 7, 1, nothing, -1), (wire.CALL, 8, 2, nothing, -1)])
        turn.run()
        self.assertEqual((began, OUTBOX_HEADER.unpack_from(outbox, 0)[0]), ([1], 7))


if __name__ == "__main__":
    unittest.main()
