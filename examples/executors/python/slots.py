"""The data plane: a slot is a thread with a connection, on which Tasks come and Events go."""

import ctypes
import os
import sys
import threading

import cells
import executor_pb2 as pb

MOST_HEADER = 16 << 20

raise_in_thread = ctypes.pythonapi.PyThreadState_SetAsyncExc
raise_in_thread.argtypes = ctypes.c_ulong, ctypes.py_object


def read_message(stream, kind):
    """Reads uvarint(length) | header; None at the connection's end."""
    size = shift = 0
    while True:
        byte = stream.read(1)
        if not byte:
            return None
        size |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            break
        shift += 7
        if shift > 28:
            raise ValueError("a length without end")
    if size > MOST_HEADER:
        raise ValueError(f"a header of {size} bytes")
    return kind.FromString(stream.read(size))


class Slot:
    """Runs its tasks one by one. What is known of a seq is decided under control.lock: everything up
    to claimed but what was recalled has been, or is being, run."""

    def __init__(self, control, index, configuration):
        self.control, self.index, self.configuration = control, index, configuration
        self.connection = None
        self.sending = threading.Lock()
        self.claimed = 0
        self.recalled = set()
        self.thread = 0
        self.interruptible = False  # user code runs, and may be stopped
        self.stop = 0  # why the claimed task is to stop

    @staticmethod
    def open(slots, connection):
        """Is the thread of the slot that the connection's Hello names."""
        try:
            stream = connection.makefile("rb")
            hello = read_message(stream, pb.Hello)
            if hello is None or hello.slot >= len(slots) or slots[hello.slot].connection:
                raise ValueError(f"a bad Hello: {hello}")
            slot = slots[hello.slot]
            slot.connection, slot.thread = connection, threading.get_ident()
            while (task := read_message(stream, pb.Task)) is not None:
                slot.take(task, stream.read(task.payload_length))
        except BaseException as error:  # a worker without one of its slots is of no use
            print(f"a slot's connection is broken: {error!r}", file=sys.__stderr__, flush=True)
            os._exit(1)

    def recall(self, seq):
        with self.control.lock:
            return self.decide(seq)

    def decide(self, seq):
        if seq <= self.claimed and seq not in self.recalled:
            return pb.CLAIM_CLAIMED
        self.recalled.add(seq)
        return pb.CLAIM_RECALLED

    def cancel(self, seq, reason):
        with self.control.lock:
            claim = self.decide(seq)
            if claim == pb.CLAIM_CLAIMED and seq == self.claimed and not self.stop:
                self.stop = reason
                if self.interruptible:
                    raise_in_thread(self.thread, cells.Stopped)
            return claim

    def take(self, task, params):
        """Claims a task and runs it, unless it was recalled or is refused."""
        control = self.control
        with control.lock:
            recalled = task.seq in self.recalled
            refused = not recalled and control.draining
            self.claimed, self.stop = task.seq, 0
            if refused:
                self.recalled.add(task.seq)
            if not (recalled or refused):
                control.begun += 1
        if refused:
            self.send(pb.Event(seq=task.seq, skipped=pb.Skipped()))
        if recalled or refused:
            return
        self.send(pb.Event(seq=task.seq, started=pb.Started()))
        timer = None
        if task.timeout_ns:
            timer = threading.Timer(min(task.timeout_ns / 1e9, threading.TIMEOUT_MAX), self.cancel,
                                    (task.seq, pb.STOP_REASON_TIMED_OUT))
            timer.daemon = True
            timer.start()
        result, data = self.run(task, params)
        if timer:
            timer.cancel()
        with control.lock:
            control.done += 1  # before anybody knows of the Result
        self.send(pb.Event(seq=task.seq, result=result), data)
        with control.idle:
            control.sent += 1
            control.idle.notify_all()

    def run(self, task, params):
        """Runs a task that is claimed. A stop strikes between enter and leave, once at most, or never."""
        limits = self.configuration.limits
        run = cells.Run(self, task, params, limits)
        try:
            try:
                self.enter()
                run.execute()
            finally:
                self.leave()
        except BaseException as error:
            self.leave()  # the stop may have struck in the first
            run.failed(error, self.stop)
        return run.finish()

    def enter(self):
        with self.control.lock:
            if self.stop:
                raise cells.Stopped
            self.interruptible = True

    def leave(self):
        with self.control.lock:
            self.interruptible = False
            raise_in_thread(self.thread, ctypes.py_object())  # NULL takes back one that has not struck yet

    def send(self, event, payload=b""):
        """Sends an event in one piece: one of a thread that a cell has left must not come between."""
        event.payload_length = len(payload)
        header = event.SerializeToString()
        length, rest = bytearray(), len(header)
        while rest > 0x7F:
            length.append(rest & 0x7F | 0x80)
            rest >>= 7
        length.append(rest)
        with self.sending:
            self.connection.sendall(b"".join((length, header, payload)))
