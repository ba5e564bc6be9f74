"""What a hostile task can try: params["attack"] names it. Each returns "reached", "refused" or what else came of it, and does no more harm
than that takes: whom it may signal it leaves alive, and what it fills is bounded."""

import ctypes
import glob
import http.client
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time

SECRET = re.compile(b"SECRET" + b"-[0-9a-f]{32}")


def main(params):
    try:
        return globals()[params["attack"]](Target(params)) or "refused"
    except (PermissionError, FileNotFoundError, ProcessLookupError):
        return "refused"


class Target:
    """Who else is there: daemon, workers (of the pool), neighbour (a task of the pool), other (one of another pool) and its worker are pids."""

    def __init__(self, params):
        self.__dict__.update(params)


def holds(text, secret):
    # The secrets come apart, so that to look for them is not to have them.
    return any(found.decode() == "SECRET-" + secret for found in SECRET.findall(text))


def reads(paths, secret):
    for path in paths:
        try:
            with open(path, "rb") as f:
                if holds(f.read(64 << 20), secret):
                    return "reached"
        except OSError:
            pass
    return "refused"


def beneath(folder):
    return [os.path.join(at, name) for at, _, names in os.walk(folder) for name in names]


def state(t):
    return reads(beneath(t.state), t.neighbour_secret)


def arguments(t):
    return reads(glob.glob("/proc/[0-9]*/cmdline") + glob.glob("/proc/[0-9]*/environ"), t.neighbour_secret)


def environment(t):
    return reads(["/proc/%d/environ" % pid for pid in (t.other_worker, t.other)], t.environment_secret)


def memory(pid, secret):
    with open("/proc/%d/maps" % pid) as f:
        regions = [line.split() for line in f]
    with open("/proc/%d/mem" % pid, "rb", 0) as f:
        for where, may, *_ in regions:
            begin, end = (int(at, 16) for at in where.split("-"))
            if may.startswith("rw") and end - begin <= 256 << 20:
                try:
                    f.seek(begin)
                    if holds(f.read(end - begin), secret):
                        return "reached"
                except OSError:
                    pass
    return "refused"


def memory_daemon(t):
    return memory(t.daemon, t.other_secret)


def worker(t):
    """The attacker's own: itself, where tasks have no process of their own."""
    return os.getpid() if os.getpid() in t.workers else t.workers[0]


def memory_worker(t):
    return memory(worker(t), t.neighbour_secret)


def memory_neighbour(t):
    return memory(t.neighbour, t.neighbour_secret)


def memory_other(t):
    return memory(t.other, t.other_secret)


def own_files_neighbour(t):
    return reads([t.folder + "/own-neighbour"], t.neighbour_secret)


def own_files_other(t):
    return reads([t.folder + "/own-other"], t.other_secret)


def listing(t):
    class Local(http.client.HTTPConnection):
        def connect(self):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.connect(t.socket)

    c = Local("cpulb")
    c.request("GET", "/v1/tasks")
    tasks = json.loads(c.getresponse().read()).get("tasks", [])
    return "reached" if any(task["task_id"] in t.tasks for task in tasks) else "refused"


def kill(pid):
    try:
        os.kill(pid, 0)
    except PermissionError:
        for number in signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM:
            try:
                os.kill(pid, number)
                return "reached"
            except PermissionError:
                pass
        return "refused"
    return "reached"


def kill_daemon(t):
    return kill(t.daemon)


def kill_worker(t):
    return kill(worker(t))


def kill_neighbour(t):
    return kill(t.neighbour)


def kill_other(t):
    return kill(t.other)


def trace(pid):
    seize, interrupt, detach, wall = 0x4206, 0x4207, 17, 0x40000000
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long] * 4
    if libc.ptrace(seize, pid, 0, 0) != 0:
        return "refused"
    libc.ptrace(interrupt, pid, 0, 0)
    os.waitpid(pid, wall)
    libc.ptrace(detach, pid, 0, 0)
    return "reached"


def trace_daemon(t):
    return trace(t.daemon)


def trace_neighbour(t):
    return trace(t.neighbour)


def trace_other(t):
    return trace(t.other)


def takes(pid):
    """Whether it can have a descriptor of that process for its own, and with it the connection that is behind it."""
    pidfd_getfd = 438
    libc = ctypes.CDLL(None, use_errno=True)
    process = os.pidfd_open(pid)
    taken = libc.syscall(pidfd_getfd, process, 0, 0)
    os.close(process)
    if taken >= 0:
        os.close(taken)
    return "reached" if taken >= 0 else "refused"


def descriptors_daemon(t):
    return takes(t.daemon)


def descriptors_worker(t):
    return takes(worker(t))


def answers(path):
    """Whether a gRPC server answers us there."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(60)
        try:
            s.connect(path)
            s.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
            return s.recv(1) != b""
        except OSError:
            return False


def sockets(t, mine):
    """The sockets of workers. Their names are in /proc/net/unix for everybody."""
    with open("/proc/net/unix") as f:
        names = {line.split()[-1] for line in f if t.run in line}
    return [name for name in names if any(own in name for own in t.own_folders) == mine]


def control_own(t):
    found = sockets(t, True)
    return "reached" if any(map(answers, found)) else "refused" if found else "no socket"


def control_other(t):
    found = sockets(t, False)
    return "reached" if any(map(answers, found)) else "refused" if found else "no socket"


def slots_other(t):
    for name in {os.path.join(os.path.dirname(name), "slots.sock") for name in sockets(t, False)}:
        with socket.socket(socket.AF_UNIX) as s:
            try:
                s.connect(name)
                return "reached"
            except OSError:
                pass
    return "refused"


def run_folder(t):
    return "reached" if any(os.listdir(folder) for folder in glob.glob(t.run + "/*") if folder + "/" not in t.own_folders) else "refused"


def descriptors(t):
    """Connections to the daemon that this process has: a forged result goes there."""
    for name in os.listdir("/proc/self/fd"):
        try:
            with socket.socket(fileno=os.dup(int(name))) as s:
                if "slots.sock" in str(s.getsockname()) + str(s.getpeername()):
                    return "reached"
        except OSError:
            pass
    return "refused"


def write_everywhere(t):
    for name in os.listdir("/proc/self/fd"):
        try:
            if int(name) > 2 and not os.path.isfile("/proc/self/fd/" + name):
                os.set_blocking(int(name), False)
                os.write(int(name), b"\xff" * 64)
        except OSError:
            pass
    return "done"


def forge_log(t):
    for fd in 1, 2:
        os.write(fd, b"\n<0>FORGED by descriptor %d\n\r<0>FORGED\n" % fd)
    sys.__stderr__.write("<0>FORGED\n")
    return "done"


def close_all(t):
    os.closerange(0, 4096)
    return "done"


def begun(t, n):
    """Wait until so many processes with the mark are there."""
    for _ in range(6000):
        there = 0
        for path in glob.glob("/proc/[0-9]*/cmdline"):
            try:
                with open(path, "rb") as f:
                    there += t.mark.encode() in f.read().split(b"\0")
            except OSError:
                pass
        if there >= n:
            return "done"
        time.sleep(0.01)
    return "%d of %d have begun" % (there, n)


def children(t):
    for _ in range(20):
        subprocess.Popen(["/bin/sh", "-c", "trap '' TERM HUP INT; exec sleep " + t.mark], start_new_session=True)
    return begun(t, 20)


def daemonise(t):
    script = "setsid sh -c 'trap \"\" TERM HUP INT; sleep %s & exit' </dev/null >/dev/null 2>&1 & exit" % t.mark
    subprocess.run(["/bin/sh", "-c", script], start_new_session=True, env={}, check=True)
    return begun(t, 1)


def bomb(t):
    """Each of seven generations has as many as all before; none ends."""
    script = 'g=$1; while [ "$g" -gt 0 ]; do g=$((g-1)); sh -c "$0" "$0" $g & done; exec sleep %s' % t.mark
    subprocess.Popen(["/bin/sh", "-c", script, script, "6"], start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return begun(t, 64)


def memory_bomb(t):
    held = []
    try:
        for _ in range(48):
            held.append(b"x" * (64 << 20))
    except MemoryError:
        held.clear()
        return "`MemoryError`"
    return "reached"


def fill_tmp(t):
    with open(os.path.join(tempfile.gettempdir(), t.mark), "wb") as f:
        f.write(b"x" * (8 << 20))
    return "done"


def lower_limits(t):
    for which in resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE:
        soft, hard = resource.getrlimit(which)
        if hard == resource.RLIM_INFINITY or hard > 4096:
            resource.setrlimit(which, (4096, 4096))
    return "done"


def raise_limits(t):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard + 1))
    except (ValueError, PermissionError):
        return "refused"
    return "reached"


def limits_daemon(t):
    return "reached" if resource.prlimit(t.daemon, resource.RLIMIT_NOFILE) else "refused"


def limits_other(t):
    return "reached" if resource.prlimit(t.other, resource.RLIMIT_NOFILE) else "refused"


def become(call):
    """Whether a process may, of its own."""
    return subprocess.run([sys.executable, "-c", "import os; os." + call], stderr=subprocess.DEVNULL).returncode == 0


def become_root(t):
    return "reached" if become("setresuid(0, 0, 0)") or become("setresgid(0, 0, 0)") or become("setgroups([0])") else "refused"


def capabilities(t):
    with open("/proc/self/status") as f:
        return "reached" if re.search(r"(?m)^Cap(Inh|Prm|Eff|Amb):\s*0*[1-9a-f]", f.read()) else "refused"


def become_other(t):
    return "reached" if become("setresuid(12102, 12102, 12102)") else "refused"


def run_setuid(t):
    said = subprocess.run([t.setuid], stdout=subprocess.PIPE).stdout
    return "reached" if b"euid=0" in said else "refused"
