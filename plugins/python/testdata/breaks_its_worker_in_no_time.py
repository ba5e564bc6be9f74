"""Ways to take from the worker what it needs for others' tasks with a system call or two: all else is
prepared while the script is loaded, and main has ended within a microsecond or two."""

import contextvars
import ctypes
import dataclasses
import gc
import os
import socket
import sys

libc = ctypes.CDLL(None, use_errno=True)
dup2, syscall, setfsuid = os.dup2, libc.syscall, libc.setfsuid
setfsuid(-1)
reading, writing = os.pipe()
os.write(writing, b"of somebody else\n")
others, another = os.pipe()
spare = os.dup(another)
one, two = socket.socketpair()
pipes = []
for name in os.listdir("/proc/self/fd"):
    try:
        if int(name) > 2 and os.readlink("/proc/self/fd/" + name) in {os.readlink("/proc/self/fd/%d" % n) for n in (1, 2)}:
            pipes.append(int(name))
    except OSError:
        pass
kept = contextvars.ContextVar("kept")


def nothing():
    """Nothing that lasts, by what the others do it with."""
    dup2(another, spare)
    setfsuid(-1)
    syscall(39)  # getpid
    os.umask(os.umask(0o22))


def puts_a_pipe_behind_one():
    dup2(another, 1)


def puts_a_pipe_behind_two():
    dup2(another, 2)


def puts_a_socket_behind_one():
    dup2(one.fileno(), 1)


def swaps_one_and_two():
    dup2(2, 1)


def puts_a_pipe_behind_zero():
    dup2(reading, 0)


def closes_one():
    os.close(1)


def closes_a_pipe_of_its_output():
    os.close(pipes[-1])


def closes_all_pipes_of_its_output():
    for fd in pipes:
        os.close(fd)


def gives_up_its_user_for_files():
    setfsuid(65534)


def gives_up_its_user():
    syscall(117, 65534, 65534, 65534)  # setresuid, of this thread alone


def gives_up_its_group():
    syscall(119, 65534, 65534, 65534)


def gives_up_new_privileges():
    libc.prctl(38, 1, 0, 0, 0)


def changes_its_root():
    os.chroot("/proc")


def refuse(event, about):
    if event == "open":
        raise RuntimeError(event)


def adds_a_hook_that_refuses_files():
    sys.addaudithook(refuse)


class Puts:
    def __del__(self):
        dup2(another, 1)


class Gives:
    def __del__(self):
        setfsuid(65534)


@dataclasses.dataclass
class PutsWhenReturned(Puts):
    x: int


@dataclasses.dataclass
class GivesWhenReturned(Gives):
    x: int


def puts_a_pipe_behind_one_when_its_value_goes():
    return PutsWhenReturned(1)


def gives_up_its_user_when_its_value_goes():
    return GivesWhenReturned(1)


def puts_a_pipe_behind_one_when_its_variables_go():
    kept.set(Puts())


def gives_up_its_user_when_its_variables_go():
    kept.set(Gives())


WAYS = {name: way for name, way in list(globals().items())
        if callable(way) and getattr(way, "__module__", None) == __name__ and name.islower() and name != "refuse"}


def main(params, context):
    if params == "list":
        return sorted(WAYS)
    return WAYS[params]()


async def on_a_loop(params, context):
    return main(params, context)
