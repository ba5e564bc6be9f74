"""Calls a function of a script as a task does, in a plain python3: SCRIPT FUNCTION PARAMS...

Writes an answer for each of PARAMS to the file that $ANSWERS names: how it ended, its output if there is more than
one, and which of the process's state is another than before the script was loaded.
"""

import asyncio
import contextlib
import inspect
import io
import json
import logging
import os
import sys
import traceback


class Context:
    """As much of a task's context as the fixtures use."""

    task_id, attempt, labels, cancelled = "a task", 1, {}, False
    log = logging.getLogger("cpulb")

    def progress(self, fraction, message=""):
        pass

    def emit(self, value):
        pass


def finished(value):
    """What main returned, awaited or drained."""
    if inspect.iscoroutine(value):
        return asyncio.run(value)
    if inspect.isgenerator(value):
        return list(value)
    return value


def call(path, function, params):
    """How a run with params ends."""
    try:
        main = getattr(__import__(os.path.basename(path)[:-3]), function)
        takes = len(inspect.signature(main).parameters)
        value = finished(main(*[json.loads(params), Context()][:takes]))
        return {"completed": True, "data": json.loads(json.dumps(value, allow_nan=False))}
    except BaseException as error:
        code = "exit" if isinstance(error, SystemExit) else "exception"
        return {"completed": False, "code": code, "type": type(error).__name__, "message": str(error),
                "traceback": "".join(traceback.format_exception(error))}


def main():
    import probe
    answers = os.open(os.environ.pop("ANSWERS"), os.O_WRONLY | os.O_APPEND)
    path, function, *everything = sys.argv[1:]
    sys.argv[:] = [path]
    sys.path[0] = os.path.dirname(path)
    del sys.modules["probe"]
    before = probe.state()
    for params in everything:
        if len(everything) == 1:
            answer = call(path, function, params)
        else:
            out, err = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                answer = call(path, function, params)
            answer.update(stdout=out.getvalue(), stderr=err.getvalue())
        after = probe.state()
        answer["changed"] = sorted(name for name in before if after[name] != before[name])
        os.write(answers, json.dumps(answer).encode())


if __name__ == "__main__":
    main()
