"""Forks a child, which ends in the way that is asked for, and prints its status."""
import atexit
import os
import sys
import threading
import weakref


class Kept:
    """Something that outlives the child's script."""

    def __del__(self):
        print("deleted")


def returns():
    pass


def returns_no_json():
    return object()


def exits():
    sys.exit(5)


def exits_without_a_code():
    sys.exit()


def exits_with_none():
    sys.exit(None)


def exits_with_words():
    print("unflushed", end="")
    sys.exit("words")


def exits_with_true():
    sys.exit(True)


def exits_below_zero():
    sys.exit(-1)


def exits_with_much():
    sys.exit(300)


def exits_with_too_much():
    sys.exit(1 << 40)


def exits_with_a_list():
    sys.exit([1, "two"])


def exits_without_errors():
    sys.stderr = None
    sys.exit("words")


def raises():
    print("unflushed", end="")
    raise ValueError("wrong")


def raises_from():
    try:
        raises()
    except ValueError as error:
        raise KeyError("key") from error


def raises_twice():
    try:
        raises()
    except ValueError:
        raise KeyError("key")


def raises_a_group():
    raise ExceptionGroup("group", [ValueError("one"), KeyError("two")])


def raises_what_is_no_exception():
    class Odd(BaseException):
        __module__ = "builtins"
    raise Odd("odd")


def raises_with_a_hook():
    sys.excepthook = lambda kind, error, trace: print("hooked", kind.__name__, error, trace.tb_frame.f_code.co_name != "", file=sys.stderr)
    raises()


def raises_with_a_hook_that_raises():
    def hook(kind, error, trace):
        raise RuntimeError("hook")
    sys.excepthook = hook
    raises()


def raises_with_a_hook_that_exits():
    sys.excepthook = lambda *about: sys.exit(9)
    raises()


def is_interrupted():
    raise KeyboardInterrupt


def has_no_syntax():
    compile("1 +", "some.py", "exec")


def runs_at_exit():
    atexit.register(print, "first registered")
    atexit.register(print, "last registered")
    sys.exit(3)


def raises_at_exit():
    atexit.register(lambda: 1 / 0)
    raises()


def exits_at_exit():
    atexit.register(sys.exit, 7)


def leaves_a_thread():
    threading.Thread(target=lambda: (threading.main_thread().join(), print("thread"))).start()
    atexit.register(print, "at exit")
    raises()


def leaves_a_daemon():
    threading.Thread(target=threading.Event().wait, daemon=True).start()


def raises_in_a_thread():
    thread = threading.Thread(target=raises, name="raises")
    thread.start()
    thread.join()


def leaves_finalizers():
    global kept
    kept = Kept()
    weakref.finalize(kept, print, "finalized")


def leaves_a_file():
    global file
    file = os.fdopen(os.dup(1), "w")
    file.write("in a file\n")


def leaves_records():
    import logging.handlers
    handler = logging.handlers.MemoryHandler(100, target=logging.StreamHandler(sys.stdout))
    logging.getLogger("leaves").addHandler(handler)
    logging.getLogger("leaves").warning("record")


def closes_its_output():
    print("last")
    sys.stdout.close()


def replaces_its_output():
    print("first")
    sys.stdout = os.fdopen(os.dup(1), "w")
    print("second")


def closes_its_descriptor():
    print("lost")
    os.close(1)


def ends_at_once():
    atexit.register(print, "at exit")
    os._exit(4)


def is_killed():
    os.kill(os.getpid(), 15)


def forks_again():
    ends_in_a_child(exits_with_much)
    sys.exit(6)


def awaits():
    import asyncio

    async def raise_later():
        await asyncio.sleep(0)
        raises()
    asyncio.run(raise_later())


def forks_in_a_thread():
    def fork():
        child = os.fork()
        if child == 0:
            print("child of a thread", flush=True)
            sys.exit(9)
        print("in a thread", os.waitpid(child, 0)[1])
    thread = threading.Thread(target=fork)
    thread.start()
    thread.join()


def forks_by_c():
    import ctypes
    child = ctypes.PyDLL(None).fork()
    if child == 0:
        sys.exit(11)
    print("by C", os.waitpid(child, 0)[1])


def ends_in_a_child(end):
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        return end()
    status = os.waitpid(child, 0)[1]
    print(end.__name__, "status", status, flush=True)


ENDS = {name: value for name, value in list(globals().items()) if callable(value) and not isinstance(value, type) and name != "ends_in_a_child"}


def main(params, context):
    if params == "list":
        return list(ENDS)
    result = ends_in_a_child(ENDS[params])
    return None if result is None else [result]


if __name__ == "__main__":
    main(sys.argv[1], None)
