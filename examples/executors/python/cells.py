"""What a task is: a cell. It runs from its first line, in a namespace of its own that has params
and context, and its data is the value of its last expression, as in a notebook. A cell that
defines main, or whatever the task's function is, is called: main(params, context), main(params)
or main(). A generator's values are partial results."""

import ast
import errno
import inspect
import io
import json
import math
import os
import sys
import threading
import time
import traceback
from types import SimpleNamespace

import executor_pb2 as pb

MOST_TEXT = 64 << 10  # bytes of a message, which travels in a header


class Stopped(BaseException):
    """Strikes a cell that is to stop. It is no Exception: a cell should let it through."""


class Failure(Exception):
    """A failure with a code of its own."""

    def __init__(self, code, message, fault=pb.FAULT_NONE):
        super().__init__(message)
        self.code, self.fault = code, fault


def clean(text, most=MOST_TEXT):
    """Text that protobuf takes, which allows no lone surrogates."""
    return text.encode("utf-8", "replace")[:most].decode("utf-8", "ignore")


def to_json(value):
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise Failure("bad_return_value", f"JSON can't hold the value: {error}") from None


class Context:
    """What a cell is told of its task, and how it reports."""

    def __init__(self, run, task):
        slot = run.slot
        self._run, self._partials = run, 0
        self.task_id, self.script_path, self.task_type, self.attempt = task.task_id, task.script_path, task.task_type, task.attempt
        self.labels, self.traceparent = dict(task.labels), task.traceparent
        self.worker, self.slot = slot.configuration.worker_id, slot.index
        self.deadline = time.time() + task.timeout_ns / 1e9 if task.timeout_ns else None
        self.log = SimpleNamespace(**{level: self._logger(level) for level in ("debug", "info", "warning", "error")})

    @property
    def cancelled(self):
        return bool(self._run.slot.stop)

    def _logger(self, level):
        return lambda message: self._run.report(log=pb.Log(level=level, message=clean(str(message))))

    def progress(self, fraction, message=""):
        if math.isfinite(fraction):
            self._run.report(progress=pb.Progress(fraction=min(1.0, max(0.0, fraction)), message=clean(str(message))))

    def emit(self, value):
        data = self._run.bounded(to_json(value))
        with self._run.lock:
            self._partials += 1
            self._run.report(data, partial=pb.Partial(number=self._partials))


class Run:
    """One attempt of a task."""

    def __init__(self, slot, task, params, limits):
        self.slot, self.task, self.params, self.limits = slot, task, params, limits
        self.lock = threading.RLock()  # what threads of the cell report is whole, and ends with it
        self.open = True
        self.output = {name: Output(limits.output_bytes) for name in ("stdout", "stderr")}
        self.result, self.data = pb.Result(outcome=pb.OUTCOME_COMPLETED), b""
        self.wall, self.cpu = time.monotonic_ns(), time.thread_time_ns()

    def report(self, payload=b"", **kind):
        with self.lock:
            if self.open:
                self.slot.send(pb.Event(seq=self.task.seq, **kind), payload)

    def bounded(self, data):
        if len(data) > self.limits.result_bytes:
            raise Failure("result_too_large", f"the result has {len(data)} bytes, limits.result_size is {self.limits.result_bytes}")
        return data

    def execute(self):
        current.output = self.output
        if self.task.probe:
            open(os.devnull).close()  # as a cell's file would be
            value = run_code(parse(b"6 * 7", "<probe>"), {})
        else:
            context = Context(self, self.task)
            names = {"__name__": "__cell__", "__file__": self.task.script_path, "params": json.loads(self.params), "context": context}
            value = run_code(load(self.task.script_path, self.task.source), names)
            entry = names.get(self.task.function)
            if callable(entry):
                value = entry(*[names["params"], context][:arity(entry)])
            elif self.task.function != "main":
                raise Failure("no_entry_point", f"the cell defines no function {self.task.function}")
            if inspect.isgenerator(value):
                value = drain(value, context)
        self.data = self.bounded(to_json(value))

    def failed(self, error, stop):
        """Makes the result that of a cell that raised."""
        result, code, self.data = self.result, "exception", b""
        result.outcome = pb.OUTCOME_FAILED
        if isinstance(error, Stopped):
            timed_out = stop == pb.STOP_REASON_TIMED_OUT
            result.outcome = pb.OUTCOME_TIMED_OUT if timed_out else pb.OUTCOME_CANCELLED
            code = "timed_out" if timed_out else "cancelled"
        elif isinstance(error, SystemExit):
            code = "exit"
            result.error.exit_code = error.code & 0xFF if isinstance(error.code, int) else int(error.code is not None)
        elif isinstance(error, Failure):
            code, result.fault = error.code, error.fault
        frame = error.__traceback__
        while frame and frame.tb_frame.f_code.co_filename != file_name(self.task.script_path):
            frame = frame.tb_next
        result.error.code = code
        result.error.type, result.error.message = clean(type(error).__name__), clean(str(error))
        if frame:
            result.error.traceback = clean("".join(traceback.format_exception(type(error), error, frame)), 4 * MOST_TEXT)

    def finish(self):
        with self.lock:
            self.open = False  # nothing follows the Result
        current.output = None
        result = self.result
        result.run_ns, result.cpu_ns = time.monotonic_ns() - self.wall, time.thread_time_ns() - self.cpu
        result.stdout, result.stderr = self.output["stdout"].text(), self.output["stderr"].text()
        result.truncated = any(output.cut for output in self.output.values())
        return result, self.data


def drain(generator, context):
    """Emits what a generator yields; its value is what it returns or, if that is None, the list."""
    values = []
    while True:
        try:
            value = next(generator)
        except StopIteration as end:
            return values if end.value is None else end.value
        context.emit(value)
        values.append(value)


def arity(function):
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 1
    if any(p.kind == p.VAR_POSITIONAL for p in parameters):
        return 2
    return sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)


loaded = {}  # by path: what the file was, and its code


def file_name(path):
    return path or "<cell>"


def load(path, source):
    """The code of a cell: its statements, and its last expression or None."""
    if source:
        return parse(source, file_name(path))
    try:
        about = os.stat(path)
        key = about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns
        kept = loaded.get(path)
        if kept and kept[0] == key:
            return kept[1]
        with open(path, "rb") as file:
            text = file.read()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Failure("script_not_found", str(error)) from None
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
            raise Failure("executor", str(error), pb.FAULT_UNRUN) from None  # runs well elsewhere
        raise Failure("script_unreadable", str(error)) from None
    if len(loaded) > 256:
        loaded.clear()
    loaded[path] = key, parse(text, path)
    return loaded[path][1]


def parse(text, name):
    try:
        tree = ast.parse(text, name)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        return compile(tree, name, "exec"), last and compile(ast.Expression(last.value), name, "eval")
    except (SyntaxError, ValueError) as error:
        raise Failure("script_syntax", str(error)) from None


def run_code(code, names):
    exec(code[0], names)
    return eval(code[1], names) if code[1] else None


class Output:
    """The beginning of what a cell prints on one stream."""

    def __init__(self, most):
        self.most, self.size, self.parts, self.cut = most, 0, [], False

    def write(self, text):
        data = text.encode("utf-8", "replace")
        kept = data[:self.most - self.size]
        self.size += len(kept)
        self.parts.append(kept)
        self.cut = self.cut or len(kept) < len(data)

    def text(self):
        return b"".join(self.parts).decode("utf-8", "ignore")


current = threading.local()  # .output: of the run that this thread is in


class Routed(io.TextIOBase):
    """sys.stdout and sys.stderr: what a thread without a run prints goes to the worker's log."""

    def __init__(self, name):
        self.name = name

    def writable(self):
        return True

    def write(self, text):
        output = getattr(current, "output", None)
        if output:
            output[self.name].write(text)
        else:
            sys.__stderr__.write(text)
        return len(text)


def route_output():
    sys.stdout, sys.stderr = Routed("stdout"), Routed("stderr")
