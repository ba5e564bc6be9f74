# {"pools": "exclusive", "times": 2, "want": {"data": "alarm"}, "changes": "signal_handlers"}
"""An alarm ends a sleep in the main thread."""

import signal
import time


class Alarm(Exception):
    pass


def ring(number, frame):
    raise Alarm


def main(params, context):
    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    try:
        time.sleep(60)
    except Alarm:
        return "alarm"
