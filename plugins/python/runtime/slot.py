"""One slot: runs one task at a time on one OS thread."""

import types
from json.encoder import encode_basestring_ascii

from cpulb import TaskCancelled, TaskTimeout, process, stacks, values
from cpulb.context import CANCELLED, TIMED_OUT, Context
from cpulb.errors import SCARCE, BadValue, ExitCode, Refusal, SameFailure, TooLarge
from cpulb.held import _embedpy, contextlib, os, steady, threading
from cpulb.loader import watcher
from cpulb.report import OWN_FILES, STDLIB, describe, log

COMPLETED, FAILED = 0, 3  # beside CANCELLED and TIMED_OUT
UNRUN, RAN = 1, 2  # faults: failures of the runtime and not of the script; how far it may have come
WAKE_SECONDS = 0.05  # until a loop that was told to stop looks again whether it has been interrupted

RUNTIME_FILES = (*OWN_FILES, STDLIB)
YIELDED_DEPTH = values.MAX_DEPTH - 1  # they become one list
LAZY = frozenset((types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType))

awaiting = {}  # (slot, seq) -> (loop, asyncio task): what stop() can reach at an await


def stop(index, seq):
    """Cancel the task's coroutine where it awaits; from any thread. (1,) if it has one."""
    found = awaiting.get((index, seq))
    if found is None:
        return (0,)
    loop, task = found

    def wake():
        loop.call_later(WAKE_SECONDS, wake)

    with contextlib.suppress(RuntimeError):  # it has just ended
        loop.call_soon_threadsafe(task.cancel)
        loop.call_soon_threadsafe(wake)
    return (1,)


def settle():
    """Put the process back after a task of an exclusive worker, when something has changed."""
    process.house.settle()


class Slot:
    """Made on the slot's thread; run and broken are called there alone."""

    of_thread = True  # what the kernel keeps for each thread is the task's own

    def __init__(self, index, worker, result_bytes, output_bytes):
        self.index = index
        self.worker = worker
        self.result_bytes = result_bytes
        self.output_bytes = output_bytes
        self.house = process.house
        self.shared = self.house.shared
        self.thread = _embedpy.thread()
        self.loads = values.make_decoder()
        self.dumps = values.make_encoder()
        self.context = None
        self.running = False
        self.looped = False  # whether the task has had a loop of its own
        self.inside = False  # whether the script's own lines run: what is raised then is its own
        self.began = False   # whether main has been called
        self.executed = 0    # watcher.executed before the task
        stacks.workplaces.setdefault(threading.get_ident(), self)

    @property
    def core(self):
        """Asked for when it is wanted: a spare worker moves to other CPUs."""
        cpus = os.sched_getaffinity(0)
        return next(iter(cpus)) if len(cpus) == 1 else -1

    def run(self, params, path, function, *task):
        """Run one task and return how it ended.

        (data,) for one that completed and of which there is nothing else to say, else
        (data, head), where head is JSON text of an object: see head(). The whole call
        is one region: an interrupt can strike anywhere in it, and then broken() answers.
        """
        self.context = context = Context(self, path, *task)
        self.running = True
        self.looped = self.inside = self.began = False
        self.executed = watcher.executed
        try:
            # Of it only a script's own lines can be interrupted: see loader.Source.
            script, (call, wants_context) = _embedpy.shielded(self.house.begin, context, path, function)
            # In a copy: what belongs to a context, decimal's precision first of all,
            # is not left to the next task.
            data = script.variables.copy().run(self.call, context, params, call, wants_context)
        except BaseException as exc:
            return self.failed(exc)
        if self.shared:
            return self.ended(data)
        self.running = False
        context._ended = True
        return (data,)

    def call(self, context, params, call, wants_context):
        if self.shared:
            self.house.enter(context)
        value = self.loads(params)
        self.inside = self.began = True
        value = call(value, context) if wants_context else call(value)
        if type(value) in LAZY:
            return self.finish(value, context)
        self.inside = False
        return values.to_json(value, self.dumps)

    def printed(self, seq):
        """What the task has printed since the last call, to stdout and to stderr, if it is to be had here; from any thread."""
        context = self.context
        if context is None or context._seq != seq or context._ended:
            return ()
        return self.house.printed(context)

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
        coroutine = value if type(value) is types.CoroutineType else self.drain_async(value, context)
        result = self.run_loop(coroutine, context)
        if type(value) is types.AsyncGeneratorType:
            return result
        if type(result) in LAZY:
            return self.finish(result, context)
        self.inside = False
        return values.to_json(result, self.dumps)

    def drain(self, generator, context):
        given = []
        try:
            while True:
                text = values.to_json(next(generator), self.dumps, YIELDED_DEPTH)
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
                text = values.to_json(value, self.dumps, YIELDED_DEPTH)
                context._partial(text)
                given.append(text)
        return self.joined(given)

    @staticmethod
    def joined(texts):
        return b"[" + b",".join(t.encode() if type(t) is str else t for t in texts) + b"]"

    def run_loop(self, coroutine, context):
        """What asyncio.run does, within stop()'s reach."""
        import asyncio  # not before a script needs it
        self.looped = True
        runner = _embedpy.shielded(open_runner, asyncio)
        try:
            return runner.run(self.awaited(asyncio, coroutine, context))
        except asyncio.CancelledError:
            context.check_cancelled()  # stop()'s doing, if it raises
            raise
        finally:
            loop = runner.get_loop()
            try:
                with contextlib.suppress(Exception):
                    runner.close()  # ends what the coroutine has left, so it can be interrupted
            finally:
                coroutine.close()  # it may not have begun
                awaiting.pop((self.index, context._seq), None)
                _embedpy.shielded(loop.close)

    async def awaited(self, asyncio, coroutine, context):
        awaiting[self.index, context._seq] = asyncio.get_running_loop(), asyncio.current_task()
        context.check_cancelled()  # a stop() that came before could not find us
        return await coroutine

    def failed(self, exc):
        steady()
        while isinstance(exc, SameFailure):
            exc = exc.error
        if self.is_fault(exc):
            return self.fault(exc)
        kind = type(exc).__name__
        if isinstance(exc, Refusal):
            return self.ended(None, FAILED, exc.kind, str(exc), None, exc.code)
        if isinstance(exc, TooLarge):
            return self.ended(None, FAILED, "ResultTooLarge", str(exc), None, "result_too_large")
        if isinstance(exc, ExitCode):
            return self.ended(None, FAILED, "SystemExit", str(exc), None, "exit", exc.code)
        status, code = FAILED, "exception"
        message, trace = describe(exc)
        if isinstance(exc, MemoryError) and not message:
            message = self.shortage(exc)
        if isinstance(exc, TaskTimeout):
            status, code = TIMED_OUT, "timed_out"
        elif isinstance(exc, TaskCancelled):
            status, code = CANCELLED, "cancelled"
        elif isinstance(exc, SystemExit):
            code, message = "exit", "the script called sys.exit(%s)" % message
        elif isinstance(exc, BadValue):
            code, kind = "bad_return_value", "TypeError"
        elif isinstance(exc, SyntaxError) and self.is_loading(exc):
            code = "script_syntax"
        if self.looped:
            # What asyncio says of a task that nobody has asked how it ended, it says when the task goes:
            # before the output is taken, then.
            exc.__traceback__ = exc.__context__ = exc.__cause__ = None
        return self.ended(None, status, kind, message, trace, code)

    def shortage(self, exc):
        """What a MemoryError that says nothing is about; that of a script's own line is its own."""
        if self.inside:
            return ""
        doing = "writing the result" if self.began else "loading the script" if passes_script(exc) else "reading the params"
        return "out of memory (pool.memory) while " + doing

    def is_fault(self, exc):
        """Whether the runtime has failed and not the script."""
        if self.began and isinstance(exc, MemoryError):
            return False  # what there was the script has taken, or its result needs more
        if self.inside or not isinstance(exc, Exception) or isinstance(exc, (Refusal, TooLarge, ExitCode, BadValue, SyntaxError)):
            return False
        return exc.errno in SCARCE if isinstance(exc, OSError) and not passes_script(exc) else not passes_script(exc)

    def fault(self, exc):
        """The end of an attempt that the runtime has failed; what has happened is for the log."""
        message, trace = describe(exc, whole=True)
        log("a task can't be run here: %s" % trace.rstrip())
        ran = RAN if self.inside or self.began or self.executed != watcher.executed else UNRUN
        return self.ended(None, FAILED, type(exc).__name__, message, None, "executor", fault=ran)

    @staticmethod
    def is_loading(exc):
        """Whether a SyntaxError comes from compiling the script or a module of its own."""
        trace = exc.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        return trace is not None and trace.tb_frame.f_code.co_filename.startswith(("<cpulb>/", "<frozen importlib"))

    def ended(self, data, status=COMPLETED, kind=None, message=None, trace=None, code=None, exit_code=0, fault=0):
        self.running = self.inside = False
        sinks = _embedpy.shielded(self.house.end, self.context, self.of_thread)
        if status == COMPLETED and not sinks:
            return (data,)
        texts = {name: sink.take().decode() for name, sink in sinks.items()}
        return data, head(status=status, type=kind, message=message, traceback=trace, code=code, exit_code=exit_code, fault=fault,
                          truncated=any(sink.truncated for sink in sinks.values()), **texts)

    def broken(self, exc):
        """Answer for a run that an interrupt left in the middle of the runtime's own lines."""
        return self.failed(exc)


def open_runner(asyncio):
    # Whole or not at all: a loop that is half made complains when it is collected.
    runner = asyncio.Runner()
    runner.get_loop()
    return runner


def passes_script(exc):
    """Whether an exception comes from a script: a line of it is among those that it has passed, or compiling it."""
    trace = exc.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if code.co_name == "source_to_code" or not code.co_filename.startswith(RUNTIME_FILES) or "-packages" in code.co_filename:
            return True
        trace = trace.tb_next
    return False


def head(**fields):
    """What is to be said of an end beside its data, as JSON: status, type, message,
    traceback, code, exit_code, fault, stdout, stderr, truncated, run_ns; what is None or empty is left out."""
    return values.make_encoder(encode_basestring_ascii)({name: value for name, value in fields.items() if value}).encode()
