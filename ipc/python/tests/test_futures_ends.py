"""However a call, a wait or a worker of an Executor ends: what it had of this program's descriptors is given back, once."""

import concurrent.futures
import contextlib
import os
import pickle
import socket
import threading
import types
import unittest
from unittest import mock

from cpu_load_balancer.futures import condition, executor, memory, wire
from cpu_load_balancer.futures.call import Call
from cpu_load_balancer.futures.door import Arrival
from cpu_load_balancer.futures.tasks import Ended
from cpu_load_balancer.futures.turn import OUTBOX_HEADER, Turn
from played import VERSION, Played

SECONDS = 60
FOLDER = "/proc/self/fd"


def memories(of="cpulb-futures"):
    """Return how many memories with arguments or results this process has open."""
    count = 0
    for number in os.listdir(FOLDER):
        with contextlib.suppress(OSError):  # the one that lists
            count += os.readlink(os.path.join(FOLDER, number)).startswith(f"/memfd:{of} ")
    return count


class Exit(unittest.TestCase):
    def test_interrupt_that_an_interactive_session_has_outlived_cancels_nothing_at_its_end(self):
        for interactive, at_once in ((False, True), (True, False)):
            keeper = mock.Mock()
            with mock.patch.object(executor, "_open", [keeper]), mock.patch.object(executor, "sys") as shell:
                shell.last_type = KeyboardInterrupt
                if not interactive:
                    del shell.ps1
                executor._at_exit()
            keeper.end.assert_called_once_with(at_once)

    def test_interrupt_while_the_end_of_the_program_waits_for_calls_cancels_them_and_is_waited_out(self):
        keepers = [mock.Mock(), mock.Mock()]
        keepers[0].over.wait.side_effect = [KeyboardInterrupt, True]
        with mock.patch.object(executor, "_open", keepers), self.assertRaises(KeyboardInterrupt):
            executor._at_exit()
        for keeper in keepers:
            self.assertEqual(keeper.end.call_args, mock.call(at_once=True))
            self.assertEqual(keeper.over.wait.call_args_list[-1], mock.call())
            keeper.thread.join.assert_called_once_with()  # which is not to be interrupted, and so comes behind its end


class Large(Played):
    """Calls whose arguments go in memory of their own."""

    def begin(self):
        """Have a worker that runs one and has two more."""
        self.numbers = 0
        self.keep()
        self.pool.options.dumps = pickle.dumps
        self.tasks.name = "task-{}".format
        self.calls = self.submit(1)
        self.keeper._look()
        self.ends = self.arrive()
        self.calls += self.submit(2)
        os.pwrite(self.outbox, OUTBOX_HEADER.pack(1, 0, 0), 0)
        self.addCleanup(lambda calls: [call.cancel() for call in calls], self.calls)

    def submit(self, count):
        calls = []
        for _ in range(count):
            self.numbers += 1
            calls.append(Call(self.numbers, wire.CALL, self.function, (len, b"x" * memory.LARGE_BYTES), {}, None))
            self.pool.add(calls[-1])
        for carrier in self.pool.carriers.values():
            self.pool.feed(carrier)
        return calls

    def lose(self):
        for end in self.ends[:2]:
            end.close()
        self.handle(self.carrier().control)

    def test_arguments_are_let_go_of_however_a_call_ends_though_its_future_is_kept(self):
        def cancel():
            return [call.cancel() for call in self.calls]

        def end():
            self.pool.kill()
            self.keeper._finish()

        def return_all():
            self.run_calls([1, 2, 3])

        def give_back():
            self.keeper._given_back(self.carrier(), [1, 2, 3])
            cancel()

        def lose():
            self.lose()
            self.keeper._ended(Ended(1, "task-1", "died"))
            cancel()

        def lose_and_end():
            self.lose()
            end()

        def cancel_and_lose():
            cancel()
            self.lose()

        def pile_up():
            self.calls += self.submit(300)  # more than the connection takes
            self.assertTrue(self.carrier().unsent)
            end()

        for way in (return_all, cancel, give_back, lose, cancel_and_lose, end, lose_and_end, pile_up, lambda: self.keeper._break("as it were")):
            with self.subTest(way=way.__name__):
                self.begin()
                self.assertEqual(memories(), 3)
                way()
                self.assertEqual(([call.done() for call in self.calls], memories()), ([True] * len(self.calls), 0))
                self.assertEqual({(call.args, call.kwargs, call.carrier) for call in self.calls}, {(None, None, None)})

    def test_call_that_ends_while_it_is_written_keeps_nothing_and_what_is_being_sent_stays_open(self):
        self.begin()
        sent = []

        def dumps(*args, **options):
            self.calls[-1].cancel()
            return pickle.dumps(*args, **options)

        def send(_, data, descriptor):
            call = self.calls[-1]
            call.cancel()
            sent.append(os.fstat(descriptor).st_size)
            return len(data)
        for name, patch in (("written", mock.patch.object(self.pool.options, "dumps", dumps)), ("sent", mock.patch.object(wire, "send", send))):
            with self.subTest(name), patch, mock.patch.object(self.pool, "feed"):
                self.calls += self.submit(1)
                self.pool.feed = types.MethodType(type(self.pool).feed, self.pool)
                self.pool.feed(self.carrier())
            self.assertTrue(self.calls[-1].cancelled())
            self.assertEqual(memories(), 3)
        self.assertEqual([size >= memory.LARGE_BYTES for size in sent[-1:]], [True])

    def test_result_that_an_interrupt_has_left_is_let_go_of_with_its_worker(self):
        self.begin()
        for number in (1, 2):
            payload, descriptor = memory.encode("x" * memory.LARGE_BYTES)
            wire.send_all(self.ends[0], wire.frame(wire.RESULT, number, 1, payload, True), descriptor)
            os.close(descriptor)
        carrier = self.carrier()
        with mock.patch.object(carrier, "receive", side_effect=KeyboardInterrupt):
            self.assertRaises(KeyboardInterrupt, carrier.read)
        with mock.patch.object(wire, "_descriptors", side_effect=KeyboardInterrupt):
            carrier.incoming.frames, left = [], carrier.incoming.frames
            self.assertRaises(KeyboardInterrupt, carrier.read)
        carrier.incoming.frames = left
        self.pool.kill()
        self.keeper._finish()
        self.assertEqual(memories(), 0)


class Connections(Played):
    def serve(self):
        """Have a worker that runs a call."""
        self.keep()
        calls = self.submit(1)
        self.keeper._look()
        self.ends = self.arrive()
        return calls[0], self.carrier()

    def test_connection_stays_open_for_the_thread_that_waits_at_it_and_is_closed_then(self):
        call, carrier = self.serve()
        connection, goes_on, left = carrier.calls, threading.Event(), []
        wait = condition._Sleeper.sleep_or_read

        def slowly(sleeper, connection):
            try:
                return wait(sleeper, connection)
            finally:
                goes_on.wait(SECONDS)
                left.append(connection.fileno())
        with concurrent.futures.ThreadPoolExecutor(1) as thread, mock.patch.object(condition._Sleeper, "sleep_or_read", slowly):
            self.addCleanup(goes_on.set)
            leads = thread.submit(carrier.lead, call)
            while not call._condition.asleep():
                self.assertFalse(leads.done())
            self.pool.kill()
            self.keeper._finish()
            self.assertGreaterEqual(connection.fileno(), 0)
            goes_on.set()
            leads.result(SECONDS)
            self.assertGreaterEqual(left[0], 0)
            self.assertEqual(connection.fileno(), -1)
            self.assertFalse(thread.submit(lambda: condition._sleeper().sleep(0)).result(SECONDS), "nothing is left of it in later waits")

    def test_wait_leaves_nothing_of_a_connection_that_is_closed_meanwhile(self):
        here, there = socket.socketpair()
        sleeper = condition._Sleeper()
        with here, there, concurrent.futures.ThreadPoolExecutor(1) as thread:
            waits = thread.submit(sleeper.sleep_or_read, here)
            self.assertRaises(concurrent.futures.TimeoutError, waits.result, 0.01)
            here.close()
            os.eventfd_write(sleeper.descriptor, 1)
            self.assertFalse(waits.result(SECONDS))
            with open(os.devnull, "rb"):  # has the number now
                self.assertFalse(sleeper.sleep(0))

    def test_interrupt_in_a_thread_that_feeds_a_worker_at_its_end_loses_neither_calls_nor_connections(self):
        _, carrier = self.serve()
        carrier.feeding = threading.get_ident()
        connection = carrier.calls
        more = self.submit(2)
        for end in self.ends[:2]:
            end.close()
        self.handle(carrier.control)
        self.assertGreaterEqual(connection.fileno(), 0)
        carrier.give_up()
        self.assertEqual((connection.fileno(), self.pool.carriers), (-1, {}))
        self.keeper._look()
        self.arrive(2)
        self.assertEqual(self.taken(), [1] + [call.number for call in more])

    def test_connections_that_nobody_takes_are_closed_once(self):
        self.keep()
        self.submit(1)
        self.keeper._look()
        for version, size in (("2.7", 100), (VERSION, 0)):
            ours, theirs = socket.socketpair(), socket.socketpair()
            outbox = os.memfd_create("of-a-stranger")
            os.ftruncate(outbox, size)
            self.door.arrived.append(Arrival("control", 1, 1, version, theirs[0]))
            self.door.arrived.append(Arrival("calls", 1, 1, version, ours[0], outbox))
            with self.assertLogs("concurrent.futures") if not size else contextlib.nullcontext():
                self.keeper._look()
            self.assertEqual((ours[0].fileno(), theirs[0].fileno(), memories("of-a-stranger")), (-1, -1, 0))
            for end in ours[1], theirs[1]:
                end.close()


class Worker(unittest.TestCase):
    def test_result_that_can_not_be_sent_is_let_go_of(self):
        turn = object.__new__(Turn)
        turn.writing, turn.used, turn.output = threading.Lock(), OUTBOX_HEADER.size + 1, mock.Mock()
        turn.outbox = memoryview(bytearray(100))
        turn.connection, there = socket.socketpair()
        there.close()
        with turn.connection:
            self.assertRaises(OSError, turn._write, wire.RESULT, 1, 1, *memory.encode("x" * memory.LARGE_BYTES), 1)
        self.assertEqual(memories(), 0)

    def test_output_of_a_program_that_ends_while_it_sends_it_is_let_go_of(self):
        here, there = socket.socketpair()
        turn = object.__new__(Turn)
        turn.incoming, turn.output = wire.Incoming(here), mock.Mock()
        with here, there:
            descriptor = os.memfd_create("cpulb-futures")
            wire.send_all(there, wire.frame(wire.PREPARE, 1, 0, b"", True), descriptor)
            os.close(descriptor)
            there.close()
            turn._take_output()
        self.assertTrue(turn.last)
        self.assertEqual(memories(), 0)


if __name__ == "__main__":
    unittest.main()
