"""Changes everything that Python keeps for the whole process; reports what it found."""

import decimal
import gc
import io
import os
import socket
import subprocess
import sys
import warnings

os.environ["CPULB_TEST_OF_FOLDER"] = "while loading"
sys.path.append("/of/the/folder")


def found():
    mask = os.umask(0)
    os.umask(mask)
    return {
        "environ": os.environ.get("CPULB_TEST"),
        "environb": (os.environb.get(b"CPULB_TEST") or b"").decode(),
        "folder": os.environ.get("CPULB_TEST_OF_FOLDER"),
        "child": subprocess.run(["sh", "-c", 'echo "$CPULB_TEST"'], capture_output=True, text=True).stdout,
        "path": [p for p in sys.path if p.startswith("/of/")],
        "argv": list(sys.argv),
        "cwd": os.getcwd() == "/",
        "umask": mask,
        "precision": decimal.getcontext().prec,
        "warnings": [f for f in warnings.filters if f[2] is BytesWarning and f[0] == "error"] != [],
        "recursion": sys.getrecursionlimit(),
        "timeout": socket.getdefaulttimeout(),
        "trace": sys.gettrace() is not None,
        "gc": gc.isenabled(),
        "stdout": isinstance(sys.stdout, io.StringIO),
    }


def main(params, context):
    before = found()
    if params != "change":
        return before
    os.environ["CPULB_TEST"] = "changed"
    sys.path.insert(0, "/of/the/task")
    sys.argv = ["changed"]
    os.chdir("/")
    os.umask(0o005)
    decimal.getcontext().prec = 5
    warnings.simplefilter("error", BytesWarning)
    sys.setrecursionlimit(2000)
    socket.setdefaulttimeout(7)
    gc.disable()
    sys.settrace(lambda *_: None)
    sys.stdout = io.StringIO()
    print("to nobody")
    changed = found()
    return [before, changed]
