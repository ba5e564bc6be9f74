#!/usr/bin/python3
"""An executor for cpulbd, written from docs/plugins.md and executor.proto alone.

It runs cells, see cells.py. This file is the process: go-plugin's handshake, the control
plane over gRPC, and the end. Beside grpc and protobuf it needs executor_pb2.py:

    protoc -I FOLDER_OF_THE_PROTO --python_out=. executor.proto
"""

import fcntl
import os
import platform
import select
import signal
import socket
import sys
import tempfile
import threading
import traceback
from concurrent import futures

import grpc

import cells
import executor_pb2 as pb
from slots import Slot

VERSION = "1"


class Control:
    """The methods of the service Executor, by their names. Each is called on a thread of gRPC's."""

    def __init__(self):
        self.lock = threading.Lock()
        self.idle = threading.Condition(self.lock)  # notified when a task has ended
        self.slots = []
        self.configured = self.draining = False
        self.begun = self.done = self.sent = 0  # tasks: claimed, ended, with a Result that has left

    def Describe(self, request, call):
        return pb.DescribeResponse(
            name="cells", version=VERSION, runtime=f"CPython {platform.python_version()}", slot_protocol=1,
            capabilities=[pb.CAPABILITY_CANCEL, pb.CAPABILITY_EVENTS], cpus_allowed=status("Cpus_allowed_list"))

    def Configure(self, request, call):
        if request.slots < 1:
            call.abort(grpc.StatusCode.INVALID_ARGUMENT, "slots: must be at least 1")
        if request.loop_slots:
            call.abort(grpc.StatusCode.INVALID_ARGUMENT, "async_concurrency: this executor has no event loop")
        if request.settings:
            call.abort(grpc.StatusCode.INVALID_ARGUMENT, f"settings: {min(request.settings)}: this executor takes none")
        with self.lock:
            configured, self.configured = self.configured, True
        if configured:
            call.abort(grpc.StatusCode.FAILED_PRECONDITION, "configured already")
        redirect_output()
        hide_the_plumbing()
        cells.route_output()
        self.slots = [Slot(self, index, request) for index in range(request.slots)]
        listener = socket.socket(socket.AF_UNIX)
        path = os.path.join(request.runtime_dir, "cells.sock")
        listener.bind(path)
        listener.listen(request.slots)
        threading.Thread(target=self.accept, args=(listener,), daemon=True).start()
        return pb.ConfigureResponse(slot_socket=path, runtime=f"CPython {platform.python_version()}")

    def accept(self, listener):
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=Slot.open, args=(self.slots, connection), daemon=True).start()

    def slot(self, request, call):
        if request.slot >= len(self.slots) or request.seq == 0:
            call.abort(grpc.StatusCode.INVALID_ARGUMENT, f"no task {request.seq} on slot {request.slot}")
        return self.slots[request.slot]

    def Cancel(self, request, call):
        return pb.CancelResponse(claim=self.slot(request, call).cancel(request.seq, request.reason))

    def Recall(self, request, call):
        return pb.RecallResponse(claim=self.slot(request, call).recall(request.seq))

    def Drain(self, request, call):
        with self.lock:
            self.draining = True
            within = min(call.time_remaining() or 0, threading.TIMEOUT_MAX)  # without a deadline it is huge
            self.idle.wait_for(lambda: self.begun == self.sent, within)
            return pb.DrainResponse(still_running=self.begun - self.sent)

    def Stacks(self, request, call):
        frames = sys._current_frames()
        return pb.StacksResponse(text="\n".join(
            f"{thread.name}\n" + "".join(traceback.format_stack(frames[thread.ident]))
            for thread in threading.enumerate() if thread.ident in frames))

    def Stats(self, request, call):
        with self.lock:
            busy, done = self.begun - self.done, self.done
        return pb.StatsResponse(
            slots_busy=busy, tasks_done=done, threads=int(status("Threads")), cpus_allowed=status("Cpus_allowed_list"),
            rss_bytes=int(status("VmRSS").split()[0]) << 10, peak_rss_bytes=int(status("VmHWM").split()[0]) << 10)

    def Health(self, request, call):
        return pb.HealthResponse()  # whoever answers has had the interpreter's lock


def status(key):
    """What the kernel says of this process."""
    with open("/proc/self/status") as file:
        return next((line.split(":", 1)[1].strip() for line in file if line.startswith(key + ":")), "0")


def inherited(name):
    """The descriptor that the daemon names in the environment; programs that cells start do not have it."""
    descriptor = int(os.environ[name])
    os.set_inheritable(descriptor, False)
    return descriptor


def watch_the_lifeline():
    """Has the kernel kill the process group when the daemon's end of the pipe closes: no thread of
    this process could do that while a cell keeps the interpreter's lock."""
    descriptor = inherited("CPULB_LIFELINE_FD")
    fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(descriptor, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([descriptor], [], [], 0)[0]:
        os.killpg(0, signal.SIGKILL)  # it has closed before


def redirect_output():
    """Gives descriptors 1 and 2 to whatever cells start; sys.stderr stays the executor's log."""
    log = os.dup(2)
    sys.__stderr__ = sys.stderr = os.fdopen(log, "w", buffering=1, errors="backslashreplace")
    output = inherited("CPULB_OUTPUT_FD")
    for descriptor in 1, 2:
        os.dup2(output, descriptor)
    os.close(output)


def hide_the_plumbing():
    for name in list(os.environ):
        if name.startswith(("PLUGIN_", "CPULB_")) and name != "CPULB_WORKER":
            del os.environ[name]


def serve(control, stopped):
    """Starts the gRPC server; go-plugin asks it to end by a method of its own."""
    def shutdown(request, call):
        stopped.set()
        return b""

    server = grpc.server(futures.ThreadPoolExecutor(8, "control"))
    plain = grpc.unary_unary_rpc_method_handler
    methods = {}
    for method in pb.DESCRIPTOR.services_by_name["Executor"].methods:
        methods[method.name] = plain(getattr(control, method.name), method.input_type._concrete_class.FromString,
                                     method.output_type._concrete_class.SerializeToString)
    server.add_generic_rpc_handlers((
        grpc.method_handlers_generic_handler("cpulb.executor.v1.Executor", methods),
        grpc.method_handlers_generic_handler("plugin.GRPCController", {"Shutdown": plain(shutdown)}),
        grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": plain(lambda *_: b"\x08\x01")}),  # SERVING
    ))
    folder = tempfile.mkdtemp(dir=os.environ.get("PLUGIN_UNIX_SOCKET_DIR"))
    path = os.path.join(folder, "plugin")
    server.add_insecure_port("unix:" + path)
    server.start()
    return server, path


def main():
    if os.environ.get("CPULB_EXECUTOR") != "b3c1c1a2-executor":
        sys.exit("This is an executor of cpulbd, which starts it. See README.md.")
    if "1" not in os.environ.get("PLUGIN_PROTOCOL_VERSIONS", "1").split(","):
        sys.exit("This executor speaks version 1 of the protocol, but the daemon speaks "
                 + os.environ["PLUGIN_PROTOCOL_VERSIONS"])
    watch_the_lifeline()
    os.set_inheritable(int(os.environ["CPULB_PROGRAM_FD"]), False)
    stopped = threading.Event()
    server, path = serve(Control(), stopped)
    print(f"1|1|unix|{path}|grpc", flush=True)
    stopped.wait()
    server.stop(1).wait()  # once the answer has left
    os._exit(0)  # whatever cells still do


if __name__ == "__main__":
    main()
