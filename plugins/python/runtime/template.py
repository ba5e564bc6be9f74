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
from cpulb.apart import TaskSlot, part, spare
from cpulb.slot import FAILED, head, stop

# Kinds of events beside those of context.py; the host has the same.
ASKED, RAISED, ENDED, TOO_LARGE, LINE = 11, 12, 13, 14, 15
ASK_CANCELLED, ASK_TIMED_OUT, RAISE = signal.SIGRTMAX, signal.SIGRTMAX - 1, signal.SIGRTMAX - 2  # what the host sends
SEAL = 2  # the last step of _embedpy.wall_in
ENDING_SECONDS = 0.1  # for how long a thread that ends may still be there
ROOM = 8 << 20  # bytes beyond pool.memory, in which the runtime says that this has not been enough
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
        carry_rules()
    return "+"


def carry_rules():
    """Give children the rules themselves: they run as somebody who can't read the worker's folder."""
    import binascii
    import marshal
    import zlib
    with open(rules.text, "rb") as text:
        code = marshal.dumps(compile(text.read(), "<cpulb>/rules.py", "exec", dont_inherit=True))
    rules.code = binascii.b2a_base64(zlib.compress(code), newline=False)


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
    """The whole life of the template, and of every process that is forked from it; it returns in what tasks fork."""
    settings = json.loads(settings)
    result = prepare(settings)
    if result != "+":
        answer(control, result)
        os._exit(1)
    slot = TaskSlot(0, settings["worker"], settings["result_bytes"], settings["output_bytes"])
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    if settings["memory"]:
        settings["memory"] += has_already()
    gc.collect()
    gc.freeze()  # what no task changes stays shared
    index = _embedpy.slots(control, settings["subreapers"])
    if index < 0:
        answer(control, result)
        while os.read(control, 1):
            pass
        os._exit(0)
    os.register_at_fork(after_in_parent=slot.note_child, after_in_child=part)
    report.log_bytes = streams.log_bytes = to_host
    slot.index = stopping.slot = index // 2
    slot.pid = os.getpid()
    process.house.is_child = slot.is_child
    try:
        run_all(slot, settings)
    except BaseException as error:
        report.log("a task's process has failed: %s" % report.describe(error, whole=True)[1])
        os._exit(70)
    return slot.leave()


def run_all(slot, settings):
    """Run tasks until the process has had its last, with which it ends. In what a task forks it returns."""
    reseed()
    if not settings["as_caller"]:
        wall_in(settings)
    rehearse(slot, settings)
    for left in reversed(range(settings["max_tasks"])):
        try:
            task = _embedpy.receive()
            more = task is not None and run(slot, *task, settings, left > 0)
        except MemoryError:
            if slot.is_child():
                return
            more = False
            out_of_memory("reading the params" if slot.params is None else "writing the result")
        if slot.is_child():
            return
        if not more:
            break
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
    task that takes several times what the task itself does. Whether it ran as it should."""
    slot.params = "null"
    values, *_ = _embedpy.run_region(0, slot.run, slot.broken, None, settings["rehearsal"], "main", 0, "", "", 1, 0, "{}", "")
    process.house.leave()
    return values == ("null",)


def run(slot, header, params, settings, more):
    """Run a task and report its end. Whether the process may have another, of which there are more."""
    slot.params = None
    task = json.loads(header)
    limit(settings)
    if task["caller"] is not None:
        become(task["caller"])
    if settings["as_caller"]:
        wall_in(settings)  # after it: it takes away what becoming somebody takes
    if task["env"] or task["cwd"]:
        more = False  # the next task's script is not to be loaded here
        refused = surround(task["env"] or {}, task["cwd"])
        if refused is not None:
            send_end(b"", children=False, last=True, head=refused)
            return False
    if more:
        _embedpy.note_fit()
    slot.params = params.decode()
    slot.settled = slot.forked = False
    seq = stopping.seq = task["seq"]
    if stopping.early:  # it was to stop before it had come
        stopping.asked(stopping.early, None)
    ended = _embedpy.run_region(
        seq, slot.run, slot.broken, slot.settle if more else None, task["path"], task["function"], seq, task["id"], task["type"],
        task["attempt"], task["timeout"], task["labels"], task["traceparent"])
    stopping.seq = 0
    if slot.is_child():
        return False
    flush()
    children = _embedpy.had_children() or slot.forked
    more = more and not children and fit(slot, settings, task["path"])
    return report_end(ended, settings["result_bytes"], children, more) and more


def flush():
    """Write what the task has left in the standard streams: those that it sees, and those that it has found, whole or taken apart."""
    for entry in process.house.streams:
        streams.flush(getattr(sys, entry.stream, None))
        entry.flush()


def report_end(ended, most, children, more):
    """Send how the task ended. False: its result was too large, and the process has no further task."""
    values, wall, cpu, raised, seen = ended
    data = values[0] or b""  # a str is ASCII
    if len(data) > most > 0:
        _embedpy.post(0, 0, TOO_LARGE, float(len(data)), b"")
        return False
    if type(data) is str:
        data = data.encode()
    said = values[1].decode() if len(values) > 1 else ""
    send_end(data, wall=wall, cpu=cpu, stopped=bool(raised or seen), size=len(data), children=children, last=not more, head=said)
    return True


def send_end(data, **about):
    text = head(**about)
    _embedpy.post(0, 0, ENDED, float(len(text)), text + data)


def out_of_memory(doing):
    """The end of a task that the runtime could not read, or whose result it could not send."""
    spare()
    said = head(status=FAILED, type="MemoryError", message="out of memory (pool.memory) while " + doing, code="exception")
    send_end(b"", children=True, last=True, head=said.decode())


def fit(slot, settings, path):
    """Whether the process can have another task. What a thread that goes on does would be that one's doing."""
    why = _embedpy.unfit()
    if why is None and slot.settled and not rehearse(slot, settings):
        why = "no script can be run after it"
    if why is None and process.house.late:
        why = "it has left threads"
    if why is None and process.house.keeper.in_doubt:
        return False  # which has been said
    if why is not None:
        report.log("a process has no further task after %s: %s" % (path, why))
    return why is None


def become(caller):
    """From here on the process is the caller's: before a byte of a script is read."""
    _embedpy.become(caller["uid"], caller["gid"], tuple(caller["groups"]))
    os.environ.update(HOME=caller["home"], USER=caller["name"], LOGNAME=caller["name"])
    keeper = process.house.keeper
    keeper.base = keeper.read()


def surround(env, cwd):
    """Give the process the environment and the working folder of its task. Returns the head of the failure if that can't be."""
    os.environ.update(env)
    time.tzset()  # TZ may be among them
    try:
        if cwd:
            os.chdir(cwd)
    except OSError as error:
        return head(status=FAILED, type=type(error).__name__, code="bad_cwd",
                    message="the task can't start in its cwd, %s: %s" % (cwd, error.strerror)).decode()
    keeper = process.house.keeper
    keeper.base = keeper.read()
    return None


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
        resource.setrlimit(resource.RLIMIT_DATA, (settings["memory"], settings["memory"] + ROOM))
    if settings["cpu_seconds"]:
        used = resource.getrusage(resource.RUSAGE_SELF)
        taken = used.ru_utime + used.ru_stime
        # What a process has taken that is to have one task is hardly anything. Tasks before this one are not its own affair.
        soft = settings["cpu_seconds"] + int(taken if settings["max_tasks"] == 1 else math.ceil(taken))
        hard = soft + 1 if settings["max_tasks"] == 1 else resource.RLIM_INFINITY
        resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))
