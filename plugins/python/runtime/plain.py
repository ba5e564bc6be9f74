"""Plain scripts: what `python script.py` would run, as a task.

A task whose function is "__main__" runs the file from its first line, with
__name__ == "__main__" and sys.argv from params. It completes with its exit code, 0;
any other is a failure.
"""

import sys
import types

from cpulb import own
from cpulb.errors import ExitCode, Refusal

MAIN = "__main__"


def arguments(params):
    """The script's arguments: params is a list of them, or has one as "argv"; else there are none."""
    given = params.get("argv", []) if isinstance(params, dict) else params
    if given is None:
        given = []
    if not isinstance(given, list) or not all(isinstance(a, (str, int, float)) and not isinstance(a, bool) for a in given):
        raise Refusal("bad_params", "TypeError", "params of a plain script are a list of strings and numbers, its arguments, "
                      'or an object with such a list as "argv"')
    return [str(a) for a in given]


def runner(path, code, folder):
    """Return a function of params that runs the script's code."""

    def run(params):
        own.argv.replace([path, *arguments(params)])
        module = types.ModuleType(MAIN)
        module.__dict__.update(__file__=path, __builtins__=folder.builtins)
        try:
            exec(code, module.__dict__)
        except SystemExit as exit:
            return {"exit_code": exit_code(exit)}
        return {"exit_code": 0}

    return run


def exit_code(exit):
    """0, or raise ExitCode for any other."""
    code = exit.code
    if code is None:
        return 0
    if not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    if code & 0xff:
        raise ExitCode("the script ended with exit code %d" % (code & 0xff))
    return 0
