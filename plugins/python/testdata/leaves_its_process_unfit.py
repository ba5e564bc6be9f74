"""Ways to leave a process as one in which others' tasks fail, or are not alone."""

import ctypes
import fcntl
import os
import resource
import signal
import sys
import threading

def limit(which, *numbers):
    """For good: only root may raise a hard limit, by a capability."""
    header, data = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert ctypes.CDLL(None).capset(header, data) == 0
    resource.setrlimit(which, numbers)


def lowers_its_file_size():
    limit(resource.RLIMIT_FSIZE, 0, 0)


def lowers_its_file_size_for_a_while():
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def lowers_its_descriptors():
    limit(resource.RLIMIT_NOFILE, 4, 4)


def lowers_its_descriptors_by_c():
    assert ctypes.CDLL(None).prlimit(0, resource.RLIMIT_NOFILE, (ctypes.c_ulong * 2)(4, 4), None) == 0


def lowers_its_memory():
    limit(resource.RLIMIT_DATA, 1, 1)


def lowers_its_cpu_time():
    limit(resource.RLIMIT_CPU, 3600, 3600)


def lowers_its_processes():
    limit(resource.RLIMIT_NPROC, 1, 1)


def is_nice():
    os.nice(19)


def closes_its_input():
    os.close(0)


def closes_its_output():
    os.close(1)
    os.close(2)


def closes_everything():
    os.closerange(0, 1000)


def replaces_its_output():
    os.dup2(os.open("/dev/null", os.O_WRONLY), 1)


def joins_its_outputs():
    os.dup2(1, 2)


def replaces_its_input():
    os.dup2(os.open(__file__, os.O_RDONLY), 0)


def does_not_wait_to_write():
    for number in (1, 2):
        fcntl.fcntl(number, fcntl.F_SETFL, fcntl.fcntl(number, fcntl.F_GETFL) | os.O_NONBLOCK)


def closes_its_streams():
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        stream.close()


def detaches_its_streams():
    sys.stdout.detach()
    sys.stderr = None


def has_no_streams():
    del sys.stdout, sys.stderr, sys.stdin, sys.__stdout__


def clears_modules():
    sys.modules.clear()


def deletes_modules():
    for name in [name for name in sys.modules if name not in ("sys", "builtins")]:
        del sys.modules[name]


def has_handlers():
    for number in signal.valid_signals():
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


def is_about_to_be_alarmed():
    signal.setitimer(signal.ITIMER_REAL, 0.02)


def leaves_a_child():
    writes_for_ever(os.fork())


def leaves_a_daemon():
    child = os.fork()
    if child == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
    else:
        try:
            os.waitpid(child, 0)
        except ChildProcessError:
            pass
    writes_for_ever(child)


def leaves_a_daemon_that_nobody_waits_for():
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    leaves_a_daemon()
    signal.signal(signal.SIGCHLD, before)


def leaves_a_program_that_nobody_waits_for():
    import subprocess
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    subprocess.Popen(["/bin/sh", "-c", "(while echo other; do :; done) &"]).wait()


def leaves_a_program():
    import subprocess
    subprocess.Popen(["/bin/sh", "-c", "while echo other; do :; done"])


def leaves_a_thread():
    threading.Thread(target=writes_for_ever, args=(0,), daemon=True).start()


def writes_for_ever(parent):
    while not parent:
        try:
            os.write(1, b"other\n")
        except OSError:
            os._exit(0)


WAYS = {name: value for name, value in list(globals().items())
        if callable(value) and not isinstance(value, type) and name not in ("limit", "writes_for_ever")}


def main(params, context):
    if params == "list":
        return list(WAYS)
    WAYS[params]()
