# {"pools": "exclusive", "times": 2, "want": {"data": [0.0, 0.0]}, "changes": "timers signal_handlers"}
"""An alarm that is still to come goes with its task."""

import signal


def main(params, context):
    found = [signal.getitimer(which)[0] for which in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL)]
    signal.signal(signal.SIGALRM, print)
    signal.signal(signal.SIGVTALRM, print)
    signal.alarm(3600)
    signal.setitimer(signal.ITIMER_VIRTUAL, 3600)
    return found
