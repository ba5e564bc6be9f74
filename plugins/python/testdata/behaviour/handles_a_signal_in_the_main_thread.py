# {"pools": "exclusive", "times": 2, "want": {"data": [true, "Handlers.SIG_DFL", "caught 10"]}, "changes": "signal_handlers"}
"""A task of an exclusive worker runs in the main thread: it can handle signals, and its handler goes with it."""

import os
import signal
import threading


def main(params, context):
    caught = []
    before = signal.signal(signal.SIGUSR1, lambda number, frame: caught.append("caught %d" % number))
    os.kill(os.getpid(), signal.SIGUSR1)
    while not caught:
        pass
    return [threading.current_thread() is threading.main_thread(), repr(before).split(":")[0].strip("<"), caught[0]]
