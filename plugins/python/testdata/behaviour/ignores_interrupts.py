# {"pools": "exclusive", "times": 2, "want": {"data": [true, "survived", "interrupted"]}, "changes": "signal_handlers"}
"""SIGINT is KeyboardInterrupt, unless the task ignores it."""

import os
import signal


def main(params, context):
    found = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.kill(os.getpid(), signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        os.kill(os.getpid(), signal.SIGINT)
        signal.sigtimedwait([signal.SIGUSR2], 10)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        return [found, "survived", "interrupted"]
