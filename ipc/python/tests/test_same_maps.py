"""map of Engine and of AsyncEngine, which keep the same promises, also for an iterable of either kind."""

import asyncio
import contextlib
import threading
import unittest

from cpu_load_balancer import AsyncEngine, Engine, ResultTimeoutError, SubmissionError, Task
from fake import FakeDaemon, result_line

SECONDS = 60


async def asynchronous(items):
    """Yield items, as an asynchronous iterable."""
    for item in items:
        yield item


def map_of_engine(path, make, items, timeout=None):
    """Return the data of the Results, and what ended it."""
    got = []
    with Engine(path) as engine, contextlib.closing(engine.map(make, items, timeout=timeout)) as results:
        try:
            got += (r.data for r in results)
        except Exception as error:
            got.append(error)
    return got


def map_of_async_engine(path, make, items, timeout=None):
    """Like map_of_engine."""
    async def main():
        got = []
        async with AsyncEngine(path) as engine:
            try:
                async for result in engine.map(make, items, timeout=timeout):
                    got.append(result.data)
            except Exception as error:
                got.append(error)
        return got
    return asyncio.run(main())


def map_of_asynchronous(path, make, items, timeout=None):
    """Like map_of_async_engine, whose iterable is asynchronous."""
    return map_of_async_engine(path, make, asynchronous(items), timeout)


def echo(connection, command):
    connection.sendall(result_line(command["task"]["task_id"], command["task"]["params"]))


class SameMaps(unittest.TestCase):
    def each(self):
        for mapped in (map_of_engine, map_of_async_engine, map_of_asynchronous):
            with self.subTest(mapped.__name__):
                yield mapped

    def test_items_before_one_that_can_not_be_had_have_their_results(self):
        def items():
            yield from range(40)
            raise KeyError("no more")
        for mapped in self.each():
            got = mapped(FakeDaemon(self, echo).path, "/x.py", items())
            self.assertEqual(got[:-1], list(range(40)))
            self.assertIsInstance(got[-1], KeyError)

    def test_items_before_one_of_which_no_task_is_made_have_their_results(self):
        def make(item):
            return Task.create("/x.py", item if item < 20 else object())
        for mapped in self.each():
            got = mapped(FakeDaemon(self, echo).path, make, iter(range(40)))
            self.assertEqual(got[:-1], list(range(20)))
            self.assertIsInstance(got[-1], SubmissionError)

    def test_an_item_is_sent_before_the_next_one_is_asked_for(self):
        for mapped in self.each():
            came = threading.Event()

            def answer(connection, command, came=came):
                came.set()
                echo(connection, command)

            def items(came=came):
                for n in range(5):
                    yield n
                    self.assertTrue(came.wait(SECONDS), "it has not come")
                    came.clear()
            self.assertEqual(mapped(FakeDaemon(self, answer).path, "/x.py", items()), list(range(5)))

    def test_a_first_result_is_given_before_an_iterable_has_filled_the_bound(self):
        async def first_of(path, iterable):
            async with AsyncEngine(path) as engine:
                results = engine.map("/x.py", iterable, in_flight=10_000)
                first = (await results.__anext__()).data
                await results.aclose()
                return first

        def first(path, iterable):
            with Engine(path) as engine, contextlib.closing(engine.map("/x.py", iterable, in_flight=10_000)) as results:
                return next(results).data

        def answer(connection, command):
            if command["op"] == "submit":
                echo(connection, command)
        for name, one in {"engine": first, "coroutine": lambda path, items: asyncio.run(first_of(path, items)),
                          "asynchronous": lambda path, items: asyncio.run(first_of(path, asynchronous(items)))}.items():
            with self.subTest(name):
                taken = []

                def items(taken=taken):
                    for n in range(10_000):
                        taken.append(n)
                        yield n
                self.assertEqual(one(FakeDaemon(self, answer).path, items()), 0)
                self.assertLess(len(taken), 10_000)

    def test_time_is_over_though_an_asynchronous_iterable_gives_nothing_more(self):
        async def items(count):
            for n in range(count):
                yield n
            await asyncio.Event().wait()

        def keep(connection, command):
            pass
        for count, answer in ((0, echo), (1, echo), (1, keep)):
            with self.subTest(count=count, answer=answer.__name__):
                def answered(connection, command, answer=answer):
                    if command["op"] == "submit":
                        answer(connection, command)
                got = map_of_async_engine(FakeDaemon(self, answered).path, "/x.py", items(count), 0.05)
                self.assertIsInstance(got[-1], ResultTimeoutError)


if __name__ == "__main__":
    unittest.main()
