"""The event loop that runs the tasks of many slots on one thread.

A task belongs here when its function is an `async def`, or an async generator; any
other would hold up its neighbours and is handed back before anything of it runs.
What is said of tasks goes to the host by _embedpy.post; nothing here waits for it.
"""

import asyncio
from asyncio import current_task
from concurrent.futures import ThreadPoolExecutor
from sys import _current_frames
from time import monotonic

from cpulb import stacks, values
from cpulb.context import TIMED_OUT, Context
from cpulb.held import _embedpy, contextvars, inspect, json, threading, time, traceback
from cpulb.loader import watcher
from cpulb.owner import running
from cpulb.report import spend
from cpulb.slot import Slot, head

BEGUN, ENDED, NEEDS_THREAD, BROKEN, TURNED = 10, 11, 12, 13, 14
INTERRUPT_SECONDS = 0.05  # between the cancellations of a task that goes on
FAILURES = 3  # of the loop itself, in a row, before it is given up
FLUSH_SECONDS = 0.05  # more than the host takes to send the results that it has been given

STEPS = inspect.CO_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR | inspect.CO_ITERABLE_COROUTINE
CALLBACK = asyncio.events.Handle._run.__code__


class LoopContext(Context):
    """The context of a task that shares its thread."""

    __slots__ = ("_reason", "_children")

    def __init__(self, *about):
        super().__init__(*about)
        self._reason = 0
        self._children = set()

    def _stop_reason(self):
        return self._reason


class LoopSlot(Slot):
    """One slot of the loop; used on the loop's thread alone."""

    of_thread = False

    def __init__(self, loop, *about):
        super().__init__(*about)
        self.loop = loop
        self.seq = 0
        self.task = None
        self.early = (0, 0)  # seq and reason of a stop that came before its task
        self.loading = False  # whether its script is being loaded
        self.heard = 0.0     # when the loop was last told to stop the task

    def begin(self, params, path, function, seq, *task):
        self.seq, self.task = seq, None
        self.inside = self.began = False
        self.executed = watcher.executed
        context = self.context = LoopContext(self, path, seq, *task)
        began = time.monotonic_ns()
        try:
            self.loading = True
            # Of it only a script's own lines can be interrupted: see loader.Source.
            script, entry = _embedpy.shielded(self.house.begin, context, path, function)
            self.loading = False
            if not (inspect.iscoroutinefunction(entry[0]) or inspect.isasyncgenfunction(entry[0])):
                self.house.end(context, self.of_thread)
                self.post(NEEDS_THREAD)
                return
        except BaseException as exc:
            self.loading = False
            self.post_end(self.failed(self.cause(context, exc)), began)
            return
        # With the context variables that loading the script has left.
        self.task = self.loop.create_task(self.drive(context, params, *entry, began), context=script.variables.copy())

    def stop(self, seq, reason):
        self.heard = monotonic()
        if seq > self.seq:
            self.early = seq, reason
        elif seq == self.seq and self.task is not None and not self.task.done():
            if not self.context._reason:
                self.context._reason = reason
            self.task.cancel()
            self.loop.call_later(INTERRUPT_SECONDS, self.stop, seq, reason)  # it may go on all the same

    def holds_up(self, seq, frame):
        """Whether the task is in the middle of lines of its script that have not let the loop go on for a
        while; asked on another thread, which has the GIL. frame is the loop's thread's."""
        if self.seq != seq or monotonic() - self.heard < INTERRUPT_SECONDS:
            return False
        if self.loading:
            return True
        task = current_task(self.loop) if self.inside and in_a_step(frame) else None
        return task is not None and (task is self.task or getattr(task, "owner", None) is self.context)

    async def drive(self, context, params, function, wants_context, began):
        broken = self.broken(self.index, self.seq)
        try:
            self.house.enter(context)
            try:
                answer = self.ended(await self.data(context, params, function, wants_context))
            except BaseException as exc:
                # The task may be struck again until it has been said how it ended.
                answer = _embedpy.shielded(self.fail, context, exc)
            await self.end_children(context)
            self.post_end(answer, began)
        except BaseException:
            broken()

    def fail(self, context, exc):
        return self.failed(self.cause(context, exc))

    @staticmethod
    def broken(index, seq):
        """A function that says that the runtime can't end a task. It uses nothing that a script can have taken away."""
        post, kind = _embedpy.post, BROKEN
        return lambda: post(index, seq, kind, 0.0, b"")

    async def data(self, context, params, function, wants_context):
        """Run the task; return its data as JSON text."""
        self.post(BEGUN)
        self.watch_deadline(context)
        if self.early[0] == self.seq:
            context._reason = self.early[1]
        context.check_cancelled()
        value = self.loads(params)
        self.inside = self.began = True
        value = function(value, context) if wants_context else function(value)
        while inspect.isawaitable(value):
            value = await value
        if inspect.isasyncgen(value):
            text = await self.drain_async(value, context)
        elif inspect.isgenerator(value):
            text = self.drain(value, context)
        else:
            self.inside = False
            text = values.to_json(value, self.dumps)
        context.check_cancelled()  # one that was told to stop has not completed, whatever it made of that
        return text

    def watch_deadline(self, context):
        left = context.remaining()
        if left is not None:
            self.loop.call_later(left, self.stop, self.seq, TIMED_OUT)

    @staticmethod
    def cause(context, exc):
        """The exception that ended the task: its stop, if it was told to stop."""
        try:
            context.check_cancelled()
        except BaseException as stop:
            return stop.with_traceback(exc.__traceback__)
        return exc

    @staticmethod
    async def end_children(context):
        """End what the task has left running."""
        children = [child for child in context._children if not child.done() and child is not asyncio.current_task()]
        for child in children:
            child.cancel()
        if children:
            await asyncio.wait(children, timeout=INTERRUPT_SECONDS)

    def post_end(self, answer, began):
        """Send the head, a line with the time that the task took in it, and the data."""
        if not self.loop.is_fit():
            spend("the event loop has been broken, perhaps by %s" % self.context.script_path)
        data, about = answer if len(answer) == 2 else (answer[0], b"{}")
        about = json.loads(about)
        about["run_ns"] = time.monotonic_ns() - began
        data = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data or b""
        self.post(ENDED, head(**about) + b"\n" + data)

    def post(self, kind, text=b""):
        _embedpy.post(self.index, self.seq, kind, 0.0, text)
        self.loop.reported(self.index)


class Owned(asyncio.Task):
    """A task of the loop that another of our tasks can't cancel, though asyncio.all_tasks() shows it."""

    owner = None

    def cancel(self, msg=None):
        caller = running.get()
        if caller is not None and self.owner is not None and caller is not self.owner:
            return False
        return super().cancel(msg)


class Carrying(ThreadPoolExecutor):
    """Runs what it is given in the context of whoever gave it, as asyncio.to_thread does."""

    def submit(self, fn, /, *args, **kwargs):
        return super().submit(contextvars.copy_context().run, fn, *args, **kwargs)


class TaskLoop(asyncio.SelectorEventLoop):
    """The loop of many tasks, of which none can end what the others use."""

    reports = False  # whether a task has begun or ended in this turn

    def reported(self, index):
        """Have what tasks report in this turn leave together when it is over."""
        if not self.reports:
            self.reports = True
            self.call_soon(self.end_turn, index)

    def end_turn(self, index):
        self.reports = False
        _embedpy.post(index, 0, TURNED, 0.0, b"")

    def is_fit(self):
        """Whether the loop can still wait, and be woken: a script may have closed what that takes."""
        try:
            return min(self._selector.fileno(), self._ssock.fileno(), self._csock.fileno()) >= 0 and not self.is_closed()
        except Exception:
            return False

    async def shutdown_default_executor(self, timeout=None):
        """Without effect: the executor is everybody's."""

    def set_default_executor(self, executor):
        """Without effect once tasks run, as the next three."""
        if running.get() is None:
            super().set_default_executor(executor)

    def set_task_factory(self, factory):
        if running.get() is None:
            super().set_task_factory(factory)

    def set_exception_handler(self, handler):
        if running.get() is None:
            super().set_exception_handler(handler)

    def set_debug(self, enabled):
        if running.get() is None:
            super().set_debug(enabled)


class Loop:
    """Made on the loop's thread; submit and stop may be called from any other."""

    def __init__(self, worker, result_bytes, output_bytes):
        self.about = worker, result_bytes, output_bytes
        self.slots = {}
        self.looked = set()  # the tasks that have been running at the last look at what they print
        self.index = float("inf")  # it comes after the slots that have threads
        self.thread = _embedpy.thread()
        self.ident = threading.get_ident()
        stacks.workplaces[self.ident] = self
        self.loop = TaskLoop()
        self.loop.set_task_factory(child_of_its_task)
        self.loop.set_default_executor(Carrying(thread_name_prefix="asyncio"))

    def serve(self):
        """Run the loop for as long as that is possible. When it ends, so does the process, and the tasks run elsewhere."""
        asyncio.set_event_loop(self.loop)
        failures = 0
        while failures < FAILURES:
            try:
                self.loop.run_forever()
                failures = 0
            except Exception:  # the loop's own: it catches those of callbacks
                failures += 1
                traceback.print_exc()
            except BaseException:  # raised by a callback, past its task
                failures = 0
                traceback.print_exc()
        time.sleep(FLUSH_SECONDS)
        raise RuntimeError("a script has broken the event loop")

    def title(self):
        return "event loop of %d slots" % len(self.slots)

    def coroutines(self):
        """What the tasks on the loop await, as text."""
        for slot in tuple(self.slots.values()):
            if slot.task is not None and not slot.task.done():
                yield "  slot %d: task %s, %s\n" % (slot.index, slot.context.task_id, slot.context.script_path)
                for frame in slot.task.get_stack():
                    yield from traceback.format_list(traceback.extract_stack(frame, 1))

    def slot(self, index):
        found = self.slots.get(index)
        if found is None:
            found = self.slots[index] = LoopSlot(self.loop, index, *self.about)
        return found

    def printed(self):
        """What the tasks have printed since the last call that have been there then: their slots, seqs and texts, as JSON."""
        now, found = set(), []
        for slot in tuple(self.slots.values()):
            context = slot.context
            if context is None or context._ended:
                continue
            key = slot.index, context._seq
            now.add(key)
            if key in self.looked and context._sinks:
                found.append((*key, *slot.house.printed(context)))
        self.looked = now
        return (json.dumps(found),)

    def submit(self, index, params, path, function, seq, *task):
        slot, broken = self.slot, LoopSlot.broken(index, seq)

        def begin():
            try:
                slot(index).begin(params, path, function, seq, *task)
            except BaseException:
                broken()

        self.loop.call_soon_threadsafe(begin)
        return ()

    def strike(self, index, seq, reason):
        """Interrupt a task that is to stop, if it holds up the loop and with it every stop.

        The loop's thread does not get on while this one has the GIL. It is in a line that the
        task's step has come to, so that the interrupt is raised there; should the step end
        before, then in Handle._run, which catches what its callback raises: in no neighbour.
        What the loop does at the end of a step is no line of it, though the task is still the
        current one: were it not to get to the end of that, there would be no next step.
        """
        slot = self.slots.get(index)
        if slot is not None and slot.holds_up(seq, _current_frames().get(self.ident)):
            if not slot.context._reason:
                slot.context._reason = reason
            _embedpy.strike(self.thread, reason - 1)
        return ()

    def stop(self, index, seq, reason):
        self.loop.call_soon_threadsafe(lambda: self.slot(index).stop(seq, reason))
        return ()


def in_a_step(frame):
    """Whether a coroutine is executed there, or what one calls; not only what the loop calls."""
    while frame is not None and frame.f_code is not CALLBACK:
        if frame.f_code.co_flags & STEPS:
            return True
        frame = frame.f_back
    return False


def child_of_its_task(loop, coroutine, **options):
    """The loop's task factory: it notes which of our tasks has started which."""
    task = Owned(coroutine, loop=loop, **options)
    context = running.get()
    if context is not None:
        task.owner = context
        context._children.add(task)
        task.add_done_callback(context._children.discard)
    return task
