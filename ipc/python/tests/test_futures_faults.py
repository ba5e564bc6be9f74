"""What goes wrong with one call, one connection or one worker of an Executor, and what that must not end."""

import concurrent.futures
import contextlib
import os
import pickle
import resource
import select
import socket
import threading
import traceback
import types
import unittest
from unittest import mock

from cpu_load_balancer import SubmissionError
from cpu_load_balancer.futures import TransferError, WorkerLostError, keeper, memory, wire
from cpu_load_balancer.futures.call import Call
from cpu_load_balancer.futures.pause import Pause
from cpu_load_balancer.futures.tasks import Ended, Tasks
from cpu_load_balancer.futures.turn import OUTBOX_HEADER
from played import Exits, Played

SECONDS = 60


class Faults(Played):
    def test_result_for_whose_memory_there_is_no_descriptor_fails_alone(self):
        self.keep()
        calls = self.submit(1)
        self.keeper._look()
        theirs, _, _ = self.arrive()
        calls += self.submit(3)
        for number in (1, 2, 3, 4):
            payload, descriptor = memory.encode("x" * (100_000 if number != 3 else 1))
            wire.send_all(theirs, wire.frame(wire.RESULT, number, 1, payload, descriptor >= 0), descriptor)
            if descriptor >= 0:
                os.close(descriptor)
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        free = os.dup(0)
        os.close(free)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
            self.handle(self.carrier().calls)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        while not calls[3].done():
            self.handle(self.carrier().calls)
        self.assertIsInstance(calls[0].exception(0), TransferError)
        self.assertIn("Too many open files", str(calls[0].exception(0)))
        self.assertEqual([len(call.result(0)) for call in calls[1:]], [100_000, 1, 100_000])

    def test_worker_whose_words_make_no_sense_is_replaced_and_nothing_else_ends(self):
        garbage = (0, wire.frame(wire.RESULT, 1, 1, b"", True) + wire.frame(wire.RESULT, 7)), (1, wire.frame(wire.GIVEN_BACK, 0, 0, b"odd"))
        for end, words in (*garbage, (2, OUTBOX_HEADER.pack(1, 1 << 40, 0) + b"x" * 30)):
            with self.subTest(end=end), self.assertLogs("concurrent.futures") if end == 1 else contextlib.nullcontext():
                self.numbers = 0
                self.keep()
                self.tasks.name = "task-{}".format
                calls = self.submit(1)
                self.keeper._look()
                *ends, outbox = self.arrive()
                calls += self.submit(2)
                ours = self.carrier().calls, self.carrier().control
                if end == 2:
                    os.pwrite(outbox, words, 0)
                    ends[0].close()
                    self.handle(ours[0])
                else:
                    ends[end].sendall(words)
                    self.handle(ours[end])
                self.arrive(2)
                calls += self.submit(1)
                self.keeper._ended(Ended(1, "task-1", "died"))
                while self.taken():
                    self.run_calls(self.taken())
                self.assertEqual((self.keeper.broken, [call.done() for call in calls]), ("", [True] * 4))
                self.assertIsNone(calls[3].exception(0))

    def test_what_there_is_no_descriptor_or_thread_for_is_tried_again(self):
        self.keep()
        self.submit(1)
        start = self.tasks.start
        for error in (RuntimeError("can't start new thread"), MemoryError(), OSError(24, "Too many open files")):
            self.tasks.start = mock.Mock(side_effect=error)
            self.keeper._short_until = 0.0
            self.keeper._look()
            self.assertLess(self.keeper._wait_seconds(), 1)
        self.tasks.start = start
        self.keeper._short_until = keeper.time.monotonic() - 1
        self.keeper._look()
        self.assertEqual((self.tasks.started, self.pool.starting), (1, 1))
        with mock.patch("mmap.mmap", side_effect=OSError(24, "Too many open files")):
            theirs, _, _ = self.arrive()
        self.assertEqual(theirs.recv(1), b"")
        for _ in range(5):
            self.keeper._ended(Ended(1, "task-1", ""))
        self.assertEqual((self.keeper.broken, self.pool.carriers), ("", {}))

    def test_daemon_that_has_no_room_is_asked_about_once_a_second_and_less_often_with_each_refusal(self):
        self.keep(workers=2)
        now, asked = [1000.0], []
        self.keeper._pause = Pause(lambda: now[0], lambda: 0.5)
        self.submit(2)
        for number in range(1, 14, 2):
            started = self.tasks.started
            self.keeper._look()
            while self.tasks.started == started:
                now[0] = self.keeper._pause.until
                self.keeper._look()
            asked.append(now[0])
            for refused in (number, number + 1):
                self.keeper._ended(Ended(refused, "task", "full", passes=True, full=True))
            self.assertEqual(self.keeper._short_until, 0.0, "whoever connects is let in meanwhile")
        self.assertEqual([after - before for before, after in zip(asked, asked[1:])], [1.0, 1.5, 2.25, 3.375, 5.0, 5.0])
        self.keeper._look()
        self.assertLess(self.keeper._wait_seconds(), 3600)
        self.arrive(14)
        self.assertEqual(self.keeper._pause.until, 0.0)

    def test_carrier_to_which_the_rest_can_not_be_sent_is_parted_from_and_gives_its_descriptors_back(self):
        self.keep()
        self.arrive()
        carrier = self.carrier()
        calls = self.submit(1)
        carrier.unsent.append((b"rest", None))
        with mock.patch.object(carrier, "_sent", side_effect=MemoryError), self.assertLogs("concurrent.futures"):
            self.keeper._handlers[carrier.calls.fileno()](select.EPOLLOUT)
        self.assertEqual((carrier.feeding, carrier.dead, carrier.calls.fileno()), (0, True, -1))
        self.assertEqual((self.pool.carriers, calls[0].done()), ({}, True))  # what it had begun is not known any more

    def test_call_that_can_not_be_stopped_now_is_stopped_later(self):
        self.keep()
        calls = self.submit(1)
        self.keeper._look()
        _, control, _ = self.arrive()
        calls[0].cancel()
        self.keeper._look()
        control.sendall(wire.frame(wire.RUNNING, 1))
        with mock.patch.object(self.tasks, "cancel", side_effect=RuntimeError("can't start new thread")):
            self.handle(self.carrier().control)
        os.pwrite(self.outbox, OUTBOX_HEADER.pack(1, 0, 0), 0)
        with mock.patch.object(keeper.time, "monotonic", return_value=keeper.time.monotonic() + 10):
            self.keeper._look()
        self.assertEqual(self.tasks.cancelled, [1])

    def test_whatever_calls_raise_where_it_is_not_expected_ends_no_thread(self):
        for error in (KeyboardInterrupt, SystemExit, GeneratorExit):
            with self.subTest(error):
                self.numbers = 0
                self.keep()
                calls = self.submit(1)
                self.keeper._look()
                self.arrive()
                calls += self.submit(1)
                calls[0].add_done_callback(mock.Mock(side_effect=error))
                calls.append(Call(3, wire.CALL, self.function, (Exits(error),), {}, None))
                results = [(wire.RESULT, 1, 1, b"N.", -1), (wire.RESULT, 2, 1, pickle.dumps(Exits(error, 1)), -1)]
                with concurrent.futures.ThreadPoolExecutor(1) as thread, self.assertLogs("concurrent.futures"):
                    self.pool.options.dumps = pickle.dumps
                    thread.submit(self.carrier().receive, results).result(SECONDS)
                    thread.submit(lambda: (self.pool.add(calls[2]), self.pool.feed(self.carrier()))).result(SECONDS)
                self.assertIsNone(calls[0].result(0))
                self.assertIsInstance(calls[1].exception(0), TransferError)
                self.assertIsInstance(calls[2].exception(0), error)

    def test_thread_that_feeds_a_worker_at_its_end_leaves_its_connections_to_who_reads_it_out(self):
        self.keep()
        calls = self.submit(1)
        self.keeper._look()
        ends = self.arrive()
        carrier = self.carrier()
        self.run_calls([1])
        carrier.resting, carrier.feeding = False, threading.get_ident()
        self.pool.idle.clear()
        real, self.pool.poll = self.pool.poll, mock.Mock(wraps=self.pool.poll)
        self.pool.poll.unregister.side_effect = lambda connection: (real.unregister(connection), carrier.feeding and carrier.feed())
        for end in ends[:2]:
            end.close()
        self.handle(carrier.control)
        self.assertEqual((self.keeper.broken, self.pool.carriers, calls[0].result(0)), ("", {}, None))

    def test_interrupt_while_results_are_given_closes_no_descriptor_twice(self):
        self.keep()
        calls = self.submit(1)
        self.keeper._look()
        self.arrive()
        calls += self.submit(2)
        frames = [(wire.RESULT, number, 1, *memory.encode("x" * 100_000)) for number in (1, 2)]
        frames.append((wire.RESULT, 3, 1, b"N.", -1))
        with mock.patch.object(calls[2], "complete", side_effect=KeyboardInterrupt):
            self.assertRaises(KeyboardInterrupt, self.carrier().receive, frames)
        others = [os.dup(0) for _ in range(2)]
        self.carrier().receive(frames)
        for other in others:
            os.close(other)
        self.assertEqual([len(call.result(0) or "") for call in calls], [100_000, 100_000, 0])

    def test_what_the_program_has_called_while_a_call_is_pickled_unpickled_or_ended_may_shut_the_executor_down(self):
        self.keep()
        calls = self.submit(1)
        self.keeper._look()
        self.arrive()
        calls += self.submit(1)
        asked = []

        def ask(*_, **__):
            asked.append(self.keeper.is_waiting_for_caller())
            return b""
        self.assertFalse(self.keeper.is_waiting_for_caller())
        with mock.patch("cpu_load_balancer.futures.carrier.give", ask):
            self.run_calls([1, 2])
        self.pool.options.dumps = ask
        calls.append(Call(3, wire.CALL, self.function, (object(),), {}, None))
        self.pool.add(calls[2])
        self.pool.feed(self.carrier())
        self.assertEqual((asked, self.keeper.is_waiting_for_caller()), ([True] * 3, False))
        calls[2].add_done_callback(ask)
        with mock.patch.object(self.keeper.thread, "_ident", threading.get_ident()):
            calls[2].fail(ValueError())
        self.assertEqual((asked, self.keeper.is_waiting_for_caller()), ([True] * 4, False))

    def test_forked_child_does_nothing_about_its_parents_calls(self):
        self.keep()
        calls = self.submit(1)
        self.keeper._look()
        theirs, _, _ = self.arrive()
        self.function.nanoseconds = 10 ** 9
        calls += self.submit(1)  # which waits
        theirs.sendall(wire.frame(wire.RESULT, 1, 1, b"N."))
        child = os.fork()
        if child == 0:
            wrong = 2
            try:
                self.keeper.forget()
                wrong = sum(call.cancel() or call.cancelled() for call in calls)
                self.pool.kill()
                wrong += sum(call.cancelled() for call in calls)
                for call in calls:
                    self.assertRaisesRegex(RuntimeError, "has forked this one", call.result)
                    self.assertRaisesRegex(RuntimeError, "has forked this one", call.exception, 0)
            except BaseException:
                traceback.print_exc()
                wrong += 1
            finally:
                os._exit(wrong)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)
        self.handle(self.carrier().calls)
        self.run_calls([2])
        self.assertEqual([call.result(0) for call in calls], [None, None])

    def test_worker_that_a_restart_strikes_or_a_full_daemon_refuses_is_asked_for_again_however_often(self):
        def ends(**failed):
            result = types.SimpleNamespace(error=types.SimpleNamespace(message="as it were", **failed), stdout="", stderr="")
            return {"return_value": result}

        engine, bell = mock.Mock(), mock.Mock()
        for how, passes in ((ends(code="daemon_stopped"), True), (ends(code="daemon_lost"), True), (ends(code="worker_lost"), False),
                            (ends(code="exception"), False), ({"side_effect": SubmissionError("full", "queue_full")}, True),
                            ({"side_effect": SubmissionError("no", "not_allowed")}, False)):
            tasks = Tasks(engine, bell, "", None, {})
            engine.run_task = mock.Mock(**how)
            self.keep()
            self.submit(1)
            for number in range(1, 6):
                tasks._carry(number, types.SimpleNamespace(task_id="task"))
                self.keeper._short_until = 0.0
                self.keeper._look()
                self.keeper._ended(tasks.ended.popleft())
            self.assertEqual(bool(self.keeper.broken), not passes, how)

    def test_carrier_that_a_restarted_daemon_runs_again_is_replaced_once(self):
        for seen in (True, False):
            with self.subTest(keeper_saw_the_end=seen):
                self.numbers = 0
                self.keep()
                self.tasks.name = "task-{}".format
                calls = self.submit(2)
                self.keeper._look()
                *ends, outbox = self.arrive()
                os.pwrite(outbox, OUTBOX_HEADER.pack(1, 0, 0), 0)
                for end in ends:
                    end.close()
                if seen:
                    self.keeper._answers(self.carrier())
                again, _, _ = self.arrive()
                self.assertEqual(again.recv(1), b"", "it is turned away")
                self.assertEqual((len(self.pool.carriers), self.pool.starting, self.tasks.started), (0, 1, 2))
                self.assertRegex(str(calls[0].exception(0)), "task-1.*daemon ended")
                self.keeper._ended(Ended(1, "task-1", "the resent one has failed", True))
                self.assertEqual((self.keeper.broken, self.pool.starting), ("", 1))
                self.arrive(2)
                self.assertEqual((len(self.pool.carriers), self.pool.starting, self.taken()), (1, 0, [2]))

    def test_carrier_whose_task_is_said_to_have_ended_while_its_worker_goes_on_is_parted_from_whoever_waits_for_it(self):
        for how in ("ended", "turned away", "not understood"):
            with self.subTest(how):
                self.numbers = 0
                self.keep()
                self.tasks.name = "task-{}".format
                calls = self.submit(1)
                self.keeper._look()
                *ends, outbox = self.arrive()
                calls += self.submit(2)
                os.pwrite(outbox, OUTBOX_HEADER.pack(2, 0, 0), 0)
                with concurrent.futures.ThreadPoolExecutor(2) as threads:
                    led = threads.submit(calls[1].exception)
                    while not calls[1]._condition.asleep():
                        self.assertFalse(led.done())
                    ends[0].sendall(wire.frame(wire.RESULT, 1, 1, b"N."))
                    self.assertIsNone(calls[0].exception(SECONDS))
                    try:
                        parted = threads.submit(self.part, how)
                        parted.result(SECONDS)
                    finally:
                        for end in ends:  # ends what else waited for ever
                            end.shutdown(socket.SHUT_RDWR)
                    self.assertIsInstance(led.result(SECONDS), WorkerLostError)
                self.assertEqual(OUTBOX_HEADER.unpack(os.pread(outbox, OUTBOX_HEADER.size, 0))[2], 1, "it may begin another")
                self.assertEqual((self.pool.carriers, list(self.pool.pending)), ({}, [calls[2]] if how != "not understood" else []))

    def part(self, how):
        if how == "turned away":
            self.arrive()
            return
        if how == "not understood":
            self.keeper._fail(self.carrier())
        self.keeper._ended(Ended(1, "task-1", "this program has closed its connection"))

    def test_carrier_is_parted_from_where_an_interrupt_has_left_its_connection_to_nobody(self):
        for torn in (False, True):
            with self.subTest(torn=torn):
                self.numbers = 0
                self.keep()
                calls = self.submit(1)
                self.keeper._look()
                self.arrive()
                calls += self.submit(1)
                carrier = self.carrier()
                with mock.patch.object(self.pool, "watch"), mock.patch.object(calls[0], "sleep_or_read", side_effect=KeyboardInterrupt):
                    self.assertRaises(KeyboardInterrupt, carrier.lead, calls[0])
                carrier.incoming._reads = torn
                self.keeper._ended(Ended(1, "task-1", "this program has closed its connection"))
                self.assertEqual([call.done() for call in calls], [torn, torn])
                self.assertEqual(list(self.pool.pending), [] if torn else calls)


if __name__ == "__main__":
    unittest.main()
