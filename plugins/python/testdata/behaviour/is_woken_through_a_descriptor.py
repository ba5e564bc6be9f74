# {"pools": "exclusive", "times": 2, "want": {"data": [-1, 12]}, "changes": "signal_handlers"}
"""signal.set_wakeup_fd: a signal writes its number; the next task finds no descriptor set."""

import os
import signal


def main(params, context):
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    found = signal.set_wakeup_fd(writer)
    signal.signal(signal.SIGUSR2, lambda number, frame: None)
    os.kill(os.getpid(), signal.SIGUSR2)
    return [found, os.read(reader, 1)[0]]
