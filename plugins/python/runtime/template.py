"""A process for each task: the template that is forked, and what a forked one does.

The template is a process of one thread. It starts as an exclusive worker does, and what a
task finds in its process is what a first task finds there.
"""

import _thread
import gc
import math
import signal
import sys
import time

from cpulb import process, report, streams
from cpulb.held import _embedpy, contextlib, json, os
from cpulb.rules import rules
from cpulb.slot import Slot, settle, stop

# Kinds of events beside those of context.py; the host has the same.
ASKED, RAISED, ENDED, TOO_LARGE, LINE = 11, 12, 13, 14, 15
ASK_CANCELLED, ASK_TIMED_OUT, RAISE = signal.SIGRTMAX, signal.SIGRTMAX - 1, signal.SIGRTMAX - 2  # what the host sends
SEAL = 2  # the last step of _embedpy.wall_in
ENDING_SECONDS = 0.1  # for how long a thread that ends may still be there
REASONS = {ASK_CANCELLED: 1, ASK_TIMED_OUT: 2}


class Stop:
    """What the host's signals do to the task that runs."""

    def __init__(self):
        self.slot = self.seq = self.reason = self.early = 0

    def asked(self, number, frame):
        """The task is to stop: it can see that, or is cancelled where it awaits."""
        self.early = number
        if self.seq:
            self.reason = REASONS[number]
            _embedpy.ask(self.seq, self.reason)
            awaits, = stop(self.slot, self.seq)
            _embedpy.post(0, 0, ASKED, float(awaits), b"")

    def raised(self, number, frame):
        """It has not, and TaskCancelled or TaskTimeout is raised in it."""
        if self.seq and self.reason:
            _embedpy.post(0, 0, RAISED, 0.0, b"")
            _embedpy.raise_here(self.seq, self.reason - 1)


stopping = Stop()


def to_host(data):
    _embedpy.post(0, 0, LINE, 0.0, bytes(data))


def answer(control, text):
    data = text.encode("utf-8", "backslashreplace")
    os.write(control, len(data).to_bytes(4, sys.byteorder) + data)


def prepare(settings):
    """Become what an exclusive worker is before its first task."""
    process.install(True, settings["folder"], settings["daemon"], True, settings["max_tasks"] == 1)
    if settings["script_dirs"]:
        from cpulb import confine
        confine.install(settings["script_dirs"], settings["sources"])
    for name in settings["preload"] or ():
        refused = preload(name)
        if refused is not None:
            return "?preload: %s: %s" % (name, refused)
    try:
        enclose(settings["walls"], settings["as_caller"])
    except OSError as error:
        return "?%s" % error
    signal.signal(ASK_CANCELLED, stopping.asked)
    signal.signal(ASK_TIMED_OUT, stopping.asked)
    signal.signal(RAISE, stopping.raised)
    process.ready()
    if any(settings["walls"].values()):
        rules.note_sound()
    if settings["as_caller"]:
        rules.carry()
    return "+"


def preload(name):
    """Import a module for all tasks to come. Returns why it can't be."""
    before, began = native_threads(), time.monotonic()
    try:
        process.preload(name)
    except BaseException as error:
        return repr(error)
    report.log("module %s is loaded, which took %.1f ms" % (name, (time.monotonic() - began) * 1000))
    if not has_more_threads(before):
        return None
    if _thread._count():
        import threading
        main = threading.main_thread()
        running = ", ".join(repr(thread.name) for thread in threading.enumerate() if thread is not main) or "one of the module _thread"
        return "it has started a thread (%s), of which the processes of tasks would have the locks alone; load it in the script" % running
    report.log("preload: %s has started threads outside of Python, which the processes of tasks do not have: "
               "if it does not allow for a fork, tasks hang" % name)
    return None


def native_threads():
    return len(os.listdir("/proc/self/task"))


def has_more_threads(most):
    """Whether there are more threads than that, beside those that are about to end."""
    until = time.monotonic() + ENDING_SECONDS
    while native_threads() > most:
        if time.monotonic() > until:
            return True
        time.sleep(0.001)
    return False


def enclose(walls, as_caller):
    """Choose what is around each task. OSError: it can't be had here."""
    if any(walls.values()):
        import base64
        _embedpy.enclose(walls["private_tmp"], not walls["no_network"], walls["read_only"], base64.b64decode(walls["filter"] or ""), as_caller)


def serve(control, settings):
    """The whole life of the template, and of every process that is forked from it."""
    settings = json.loads(settings)
    result = prepare(settings)
    if result != "+":
        answer(control, result)
        os._exit(1)
    slot = Slot(0, settings["worker"], settings["result_bytes"], settings["output_bytes"])
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    if settings["memory"]:
        settings["memory"] += has_already()
    gc.collect()
    gc.freeze()  # what no task changes stays shared
    index = _embedpy.slots(control, settings["slots"])
    if index < 0:
        answer(control, result)
        while os.read(control, 1):
            pass
        os._exit(0)
    os.register_at_fork(after_in_child=_embedpy.hang_up)
    report.log_bytes = streams.log_bytes = to_host
    slot.index = stopping.slot = index
    try:
        run_all(slot, settings)
    except BaseException as error:
        report.log("a task's process has failed: %s" % report.describe(error, whole=True)[1])
    finally:
        os._exit(70)


def run_all(slot, settings):
    reseed()
    if not settings["as_caller"]:
        wall_in(settings)
    rehearse(slot, settings)
    for left in reversed(range(settings["max_tasks"])):
        task = _embedpy.receive()
        if task is None:
            break
        run(slot, json.loads(task[0]), task[1], settings, settle if left else None)
    os._exit(0)


def wall_in(settings):
    _embedpy.wall_in(SEAL)
    if any(settings["walls"].values()):
        rules.look_at_namespace()


def reseed():
    """Random numbers are not those of the process beside; random itself sees to its own."""
    numpy = sys.modules.get("numpy.random")
    if numpy is not None:
        with contextlib.suppress(Exception):
            numpy.seed()


def rehearse(slot, settings):
    """Do once what is to be done for a task, while none waits, with a script that does nothing.

    A forked process copies each page of memory that it is the first to write to. For a small
    task that takes several times what the task itself does."""
    _embedpy.run_region(0, slot.run, slot.broken, None, "null", settings["rehearsal"], "main", 0, "", "", 1, 0, "{}", "")
    process.house.leave()


def run(slot, task, params, settings, after):
    limit(settings)
    if task["caller"] is not None:
        become(task["caller"])
    if settings["as_caller"]:
        wall_in(settings)  # the last thing: it takes away what becoming somebody takes
    seq = stopping.seq = task["seq"]
    if stopping.early:  # it was to stop before it had come
        stopping.asked(stopping.early, None)
    values, wall, cpu, raised, seen = _embedpy.run_region(
        seq, slot.run, slot.broken, after, params.decode(), task["path"], task["function"], seq, task["id"], task["type"],
        task["attempt"], task["timeout"], task["labels"], task["traceparent"])
    stopping.seq = 0
    for stream in (sys.stdout, sys.stderr):
        streams.flush(stream)
    data = values[0] or b""
    if type(data) is str:
        data = data.encode()
    if len(data) > settings["result_bytes"] > 0:
        _embedpy.post(0, 0, TOO_LARGE, float(len(data)), b"")
        return
    head = {"wall": wall, "cpu": cpu, "stopped": bool(raised or seen), "size": len(data),
            "children": _embedpy.had_children()}
    if len(values) > 1:
        head["head"] = values[1].decode()
    text = json.dumps(head).encode()
    _embedpy.post(0, 0, ENDED, float(len(text)), text + data)


def become(caller):
    """From here on the process is the caller's: before a byte of a script is read."""
    _embedpy.become(caller["uid"], caller["gid"], tuple(caller["groups"]))
    os.environ.update(HOME=caller["home"], USER=caller["name"], LOGNAME=caller["name"])
    keeper = process.house.keeper
    keeper.base = keeper.read()


def has_already():
    """The bytes that the process may write to: what is forked has them, too."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmData:"))


def limit(settings):
    """Bound what the process may take from now on."""
    if not settings["memory"] and not settings["cpu_seconds"]:
        return
    import resource
    if settings["memory"]:
        resource.setrlimit(resource.RLIMIT_DATA, (settings["memory"],) * 2)
    if settings["cpu_seconds"]:
        used = resource.getrusage(resource.RUSAGE_SELF)
        taken = used.ru_utime + used.ru_stime
        # What a process has taken that is to have one task is hardly anything. Tasks before this one are not its own affair.
        soft = settings["cpu_seconds"] + int(taken if settings["max_tasks"] == 1 else math.ceil(taken))
        hard = soft + 1 if settings["max_tasks"] == 1 else resource.RLIM_INFINITY
        resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))
