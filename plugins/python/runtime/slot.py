"""One slot: runs one task at a time on one OS thread."""

import asyncio
import contextlib
import os
import threading
import types
from contextvars import copy_context

import _embedpy
from cpulb import TaskCancelled, TaskTimeout, own, stacks, values
from cpulb.context import CANCELLED, TIMED_OUT, Context
from cpulb.errors import BadValue, ExitCode, Refusal, TooLarge
from cpulb.output import current
from cpulb.report import describe
from cpulb.scripts import Scripts

COMPLETED, FAILED = 0, 3  # beside CANCELLED and TIMED_OUT

LAZY = frozenset((types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType))

scripts = Scripts()
awaiting = {}  # (slot, seq) -> (loop, asyncio task): what stop() can reach at an await


def stop(index, seq):
    """Cancel the task's coroutine where it awaits; from any thread. (1,) if it has one."""
    found = awaiting.get((index, seq))
    if found is None:
        return (0,)
    loop, task = found
    with contextlib.suppress(RuntimeError):  # it has just ended
        loop.call_soon_threadsafe(task.cancel)
    return (1,)


class Slot:
    """Made on the slot's thread; run and broken are called there alone."""

    def __init__(self, index, worker, result_bytes, output_bytes):
        self.index = index
        self.worker = worker
        self.result_bytes = result_bytes
        self.output_bytes = output_bytes
        self.thread = _embedpy.thread()
        self.loads = values.make_decoder()
        self.dumps = values.make_encoder()
        self.runner = None
        self.context = None
        self.running = False
        stacks.workplaces.setdefault(threading.get_ident(), self)

    @property
    def core(self):
        """Asked for when it is wanted: a spare worker moves to other CPUs."""
        cpus = os.sched_getaffinity(0)
        return next(iter(cpus)) if len(cpus) == 1 else -1

    def run(self, params, path, function, *task):
        """Run one task and return how it ended.

        (data,) for one that completed and wrote nothing, else status, data, type,
        message, traceback, code, stdout, stderr, truncated. The whole call is one
        region: an interrupt can strike anywhere in it, and then broken() answers.
        """
        self.context = current.context = context = Context(self, path, task)
        current.importing, current.loading = 0, None  # an interrupt may have left them
        self.running = True
        try:
            # In a copy: what belongs to a context, decimal's precision first of all,
            # is not left to the next task.
            data = copy_context().run(self.call, context, params, path, function)
        except BaseException as exc:
            return self.failed(exc)
        if context._sinks or context._undo:
            return self.ended(COMPLETED, data)
        self.running = False
        return (data,)

    def call(self, context, params, path, function):
        entry = scripts.find(path, function)
        context._folder = entry.folder
        value = self.loads(params)
        value = entry.function(value, context) if entry.wants_context else entry.function(value)
        if type(value) in LAZY:
            return self.finish(value, context)
        return values.to_json(value, self.dumps)

    def title(self):
        task = self.context
        doing = "idle" if task is None or not self.running else "task %s, %s" % (task.task_id, task.script_path)
        return "slot %d: %s" % (self.index, doing)

    def coroutines(self):
        """The stacks of what the thread's coroutines await; a slot has but one, in the thread's own."""
        return ()

    def finish(self, value, context):
        """Drive what main returned to its end; return the data as JSON text."""
        if type(value) is types.GeneratorType:
            return self.drain(value, context)
        if self.runner is None:
            _embedpy.shielded(self.open_runner)
        coroutine = value if type(value) is types.CoroutineType else self.drain_async(value, context)
        try:
            result = self.runner.run(self.awaited(coroutine, context))
        except BaseException as exc:
            self.drop_runner()  # it may have been left in the middle of its loop
            if isinstance(exc, asyncio.CancelledError):
                context.check_cancelled()  # stop()'s doing, if it raises
            raise
        finally:
            awaiting.pop((self.index, context._task[0]), None)
        if type(value) is types.AsyncGeneratorType:
            return result
        if type(result) in LAZY:
            return self.finish(result, context)
        return values.to_json(result, self.dumps)

    def drain(self, generator, context):
        given = []
        try:
            while True:
                text = values.to_json(next(generator), self.dumps)
                context._partial(text)
                given.append(text)
        except StopIteration as end:
            return self.joined(given) if end.value is None else values.to_json(end.value, self.dumps)
        finally:
            generator.close()

    async def drain_async(self, generator, context):
        given = []
        async with contextlib.aclosing(generator):
            async for value in generator:
                text = values.to_json(value, self.dumps)
                context._partial(text)
                given.append(text)
        return self.joined(given)

    @staticmethod
    def joined(texts):
        return b"[" + b", ".join(t.encode() if type(t) is str else t for t in texts) + b"]"

    async def awaited(self, coroutine, context):
        """Await the task's coroutine within stop()'s reach, then end what it left behind."""
        awaiting[self.index, context._task[0]] = asyncio.get_running_loop(), asyncio.current_task()
        try:
            context.check_cancelled()  # a stop() that came before could not find us
            return await coroutine
        finally:
            coroutine.close()
            left = asyncio.all_tasks() - {asyncio.current_task()}
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    def open_runner(self):
        # Whole or not at all: a loop that is half made complains when it is
        # collected, in the output of whichever task runs then.
        self.runner = asyncio.Runner()
        self.runner.get_loop()

    def drop_runner(self):
        runner, self.runner = self.runner, None
        if runner is None:
            return
        loop = runner.get_loop()
        try:
            with contextlib.suppress(Exception):
                runner.close()  # ends what the coroutine has left, so it can be interrupted
        finally:
            _embedpy.shielded(loop.close)

    def failed(self, exc):
        kind = type(exc).__name__
        if isinstance(exc, Refusal):
            return self.ended(FAILED, None, exc.kind, str(exc).encode("utf-8", "backslashreplace"), None, exc.code)
        if isinstance(exc, TooLarge):
            return self.ended(FAILED, None, "ResultTooLarge", str(exc), None, "result_too_large")
        if isinstance(exc, ExitCode):
            return self.ended(FAILED, None, "SystemExit", str(exc), None, "exit")
        status, code = FAILED, "exception"
        message, trace = describe(exc)
        if isinstance(exc, TaskTimeout):
            status, code = TIMED_OUT, "timed_out"
        elif isinstance(exc, TaskCancelled):
            status, code = CANCELLED, "cancelled"
        elif isinstance(exc, SystemExit):
            code, message = "exit", ("the script called sys.exit(%s)" % message.decode()).encode()
        elif isinstance(exc, BadValue):
            code, kind = "bad_return_value", "TypeError"
        elif isinstance(exc, SyntaxError) and self.is_loading(exc):
            code = "script_syntax"
        return self.ended(status, None, kind.encode("utf-8", "backslashreplace"), message, trace, code)

    @staticmethod
    def is_loading(exc):
        """Whether a SyntaxError comes from compiling the script or a module beside it."""
        trace = exc.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        while trace is not None:
            name = trace.tb_frame.f_code.co_filename
            if name == "<cpulb>/scripts.py":
                return True
            return name.startswith("<frozen importlib")
        return False

    def ended(self, status, data, kind=None, message=None, trace=None, code=None):
        self.running = False
        if self.context._undo:
            _embedpy.shielded(own.undo, self.context)
        stdout = stderr = None
        sinks, self.context._sinks = self.context._sinks, {}
        if "stdout" in sinks:
            stdout = sinks["stdout"].take()
        if "stderr" in sinks:
            stderr = sinks["stderr"].take()
        truncated = int(any(sink.truncated for sink in sinks.values()))
        return status, data, kind, message, trace, code, stdout, stderr, truncated

    def broken(self, exc):
        """Answer for a run that an interrupt left in the middle of the runtime's own lines."""
        with contextlib.suppress(BaseException):
            self.drop_runner()
        return self.failed(exc)
