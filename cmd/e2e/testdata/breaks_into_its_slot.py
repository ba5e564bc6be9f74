"""Ways to get at what is between the worker and the daemon: params names one."""

import ctypes
import os
import re
import socket
import threading
import time


def slots():
    """The descriptors of the slots' connections, whose path is that of the worker's socket."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            with socket.socket(fileno=os.dup(int(name))) as s:
                if str(s.getsockname()).endswith("slots.sock"):
                    s.getpeername()  # not the one that listens
                    found.append(int(name))
        except OSError:
            pass
    return found


def each(act):
    for fd in slots():
        act(fd)


def frame(seq, kind):
    header = b"\x08" + bytes([seq]) + kind
    return bytes([len(header)]) + header


RESULT, STARTED, PROGRESS = b"\x1a\x02\x08\x01", b"\x12\x00", b"\x32\x00"


def writes_text():
    each(lambda fd: os.write(fd, b"hello, world\n"))


def writes_much():
    each(lambda fd: os.write(fd, b"hello, world\n" * 1000))


def writes_half_a_frame():
    each(lambda fd: os.write(fd, b"\xf0\x07\x08"))


def announces_what_never_comes():
    each(lambda fd: os.write(fd, b"\x80\x80\x80\x07"))


def announces_too_much():
    each(lambda fd: os.write(fd, b"\xff\xff\xff\xff\x7f"))


def writes_a_number_without_end():
    each(lambda fd: os.write(fd, b"\xff" * 20))


def writes_an_empty_frame():
    each(lambda fd: os.write(fd, b"\x00"))


def forges_a_result():
    each(lambda fd: os.write(fd, frame(127, RESULT)))


def forges_all_results():
    each(lambda fd: [os.write(fd, frame(seq, RESULT)) for seq in range(1, 128)])


def forges_a_start():
    each(lambda fd: os.write(fd, frame(126, STARTED)))


def forges_progress_later():
    def later():
        time.sleep(0.1)
        each(lambda fd: os.write(fd, frame(1, PROGRESS)))

    threading.Thread(target=later).start()


def closes_it():
    each(os.close)


def closes_it_and_has_a_copy():
    each(os.dup)
    for fd in slots()[::2]:
        os.close(fd)


def closes_it_and_opens_a_file():
    each(os.close)
    global kept
    kept = [open("/tmp/written-by-%d" % os.getpid(), "wb") for _ in range(8)]


def shut(how):
    def act(fd):
        with socket.socket(fileno=os.dup(fd)) as s:
            s.shutdown(how)

    each(act)


def shuts_writing():
    shut(socket.SHUT_WR)


def shuts_reading():
    shut(socket.SHUT_RD)


def put_in_its_place(other):
    global copies
    copies = []

    def act(fd):
        copies.append(os.dup(fd))
        os.dup2(other, fd)

    each(act)


def puts_null_in_its_place():
    put_in_its_place(os.open("/dev/null", os.O_RDWR))


def puts_a_pipe_in_its_place():
    put_in_its_place(os.pipe()[0])


def puts_a_socket_in_its_place():
    global pair
    pair = socket.socketpair()
    put_in_its_place(pair[0].fileno())


def reads_its_tasks():
    """A thread reads, for ever, what comes for the slots' own."""
    def read(fd):
        while True:
            os.read(fd, 1 << 16)

    each(lambda fd: [threading.Thread(target=read, args=(fd,), daemon=True).start() for _ in range(3)])


def claims():
    with open("/proc/self/maps") as maps:
        return [tuple(int(x, 16) for x in line.split()[0].split("-")) for line in maps if "cpulb-claims" in line]


def fill_claims(byte):
    for begin, end in claims():
        ctypes.memset(begin, byte, end - begin)


def clears_claims():
    fill_claims(0)


def fills_claims():
    fill_claims(255)


def unmaps_claims():
    for begin, end in claims():
        ctypes.CDLL(None).munmap(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin))


def timers():
    for name in os.listdir("/proc/self/fd"):
        try:
            if "timerfd" in os.readlink("/proc/self/fd/" + name):
                yield int(name)
        except OSError:
            pass


def closes_timers():
    for fd in list(timers()):
        os.close(fd)


def puts_a_timer_in_its_place():
    for fd in list(timers()):
        os.dup2(ctypes.CDLL(None).timerfd_create(1, 0), fd)


def main(params, context):
    globals()[params]()
    return params


async def on_a_loop(params, context):
    return main(params, context)
