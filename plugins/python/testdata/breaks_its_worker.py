"""Ways to take from the worker what it needs for others' tasks."""

import asyncio
import builtins
import ctypes
import gc
import importlib
import json
import os
import resource
import sys
import tempfile
import threading
import time
import traceback
import warnings


def lowers_descriptors():
    resource.setrlimit(resource.RLIMIT_NOFILE, (5, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


def lowers_descriptors_for_good():
    drop_capabilities()
    resource.setrlimit(resource.RLIMIT_NOFILE, (5, 5))


def lowers_descriptors_by_another_way():
    libc = ctypes.CDLL(None, use_errno=True)
    limit = (ctypes.c_ulong * 2)(5, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    assert libc.prlimit(0, resource.RLIMIT_NOFILE, limit, None) == 0


def drop_capabilities():
    """CAP_SYS_RESOURCE raises hard limits; only root has it."""
    libc = ctypes.CDLL(None, use_errno=True)
    header, data = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert libc.capset(header, data) == 0


def leaks_descriptors():
    drop_capabilities()
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
    try:
        while True:
            os.dup(0)
    except OSError:
        pass


def closes_all_descriptors():
    os.closerange(3, 1024)


def closes_the_pipes_of_its_output():
    mine = {os.readlink("/proc/self/fd/%d" % n) for n in (1, 2)}
    for name in os.listdir("/proc/self/fd"):
        try:
            if int(name) > 2 and os.readlink("/proc/self/fd/" + name) in mine:
                os.close(int(name))
        except OSError:
            pass


def removes_its_folder():
    folder = "/tmp/removed-%d" % os.getpid()
    os.mkdir(folder)
    os.chdir(folder)
    os.rmdir(folder)


def takes_builtins():
    for name in ("len", "isinstance", "getattr", "print", "open", "__import__", "range", "zip", "super", "type"):
        delattr(builtins, name)


def clears_builtins():
    vars(builtins).clear()


def replaces_builtins():
    builtins.isinstance = builtins.len = builtins.open = None


def clears_modules():
    sys.modules.clear()


def replaces_modules():
    sys.modules = {}


def unloads_the_runtime():
    for name in [name for name in sys.modules if name.startswith(("cpulb", "_embedpy"))]:
        del sys.modules[name]


def empties(module):
    for name in [name for name in vars(module) if not name.startswith("__")]:
        setattr(module, name, None)


def empties_json():
    empties(json)
    empties(json.encoder if json.encoder else sys.modules["json.encoder"])


def empties_os():
    empties(sys.modules["posixpath"])
    empties(os)


def empties_threading():
    empties(threading)


def empties_traceback():
    empties(traceback)
    empties(warnings)


def empties_contextlib():
    for name in ("contextlib", "contextvars", "inspect", "weakref", "types", "io"):
        if name in sys.modules:
            empties(sys.modules[name])


def empties_the_runtime():
    for name in list(sys.modules):
        if name.startswith("cpulb."):
            empties(sys.modules[name])


def empties_importlib():
    empties(importlib)
    empties(sys.modules["_frozen_importlib_external"])


def empties_sys():
    for name in list(vars(sys)):
        if not name.startswith("__"):
            delattr(sys, name)


def breaks_imports():
    sys.meta_path.clear()
    sys.path_hooks.clear()
    sys.path.clear()
    sys.path_importer_cache.clear()


def lowers_recursion():
    for limit in range(1, 100):
        try:
            sys.setrecursionlimit(limit)
            return
        except RecursionError:
            pass


def stops_the_collector():
    gc.disable()
    gc.set_threshold(0)
    gc.freeze()


def traces_and_raises():
    def tracer(*about):
        raise RuntimeError("traced")
    sys.settrace(tracer)
    sys.setprofile(tracer)
    threading.settrace(tracer)


def leaves_threads():
    for _ in range(400):
        threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()


def exhausts_threads():
    drop_capabilities()
    resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))


def leaves_no_memory():
    drop_capabilities()
    resource.setrlimit(resource.RLIMIT_AS, (1 << 20, 1 << 20))


def allows_no_files():
    drop_capabilities()
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def replaces_streams():
    sys.stdout = sys.stderr = sys.__stdout__ = sys.__stderr__ = None
    os.close(1)
    os.close(2)


def replaces_hooks():
    sys.excepthook = sys.unraisablehook = sys.displayhook = threading.excepthook = None
    sys.set_asyncgen_hooks(lambda *about: 1 / 0, lambda *about: 1 / 0)


def blocks_exceptions():
    class Hostile(BaseException):
        def __str__(self):
            raise SystemExit(3)

        __repr__ = __str__
    raise Hostile


def gives_up_its_user():
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)


def gives_up_its_user_for_a_while():
    os.seteuid(65534)


def gives_up_its_user_for_files():
    ctypes.CDLL(None).setfsuid(65534)


def changes_its_root():
    os.chroot(tempfile.mkdtemp())


def mounts_over_folders():
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.unshare(0x00020000) == 0  # CLONE_NEWNS
    assert libc.mount(b"none", b"/", None, 0x44000, None) == 0  # private, all of it
    assert libc.mount(b"none", b"/tmp", b"tmpfs", 0, None) == 0


def gives_up_files():
    """By Landlock, where the kernel has it."""
    libc = ctypes.CDLL(None, use_errno=True)
    rules = ctypes.c_uint64((1 << 13) - 1)
    rules_fd = libc.syscall(444, ctypes.byref(rules), 8, 0)
    libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
    if rules_fd >= 0:
        libc.syscall(446, rules_fd, 0)


def adds_a_hook_that_raises():
    def hook(event, about):
        raise RuntimeError(event)
    sys.addaudithook(hook)


def adds_a_hook_that_refuses_files():
    def hook(event, about):
        if event == "open":
            raise RuntimeError(event)
    sys.addaudithook(hook)


def closes_what_the_loop_waits_with():
    asyncio.get_running_loop()._selector.close()


def closes_what_wakes_the_loop():
    loop = asyncio.get_running_loop()
    loop._ssock.close()
    loop._csock.close()


WAYS = {name: way for name, way in list(globals().items())
        if callable(way) and getattr(way, "__module__", None) == __name__ and name not in ("empties", "drop_capabilities")}


def main(params, context):
    if params == "list":
        return sorted(WAYS)
    WAYS[params]()
    return params


async def on_a_loop(params, context):
    return main(params, context)
