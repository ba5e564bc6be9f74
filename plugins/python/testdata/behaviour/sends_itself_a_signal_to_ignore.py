# {"pools": "exclusive", "times": 2, "want": {"data": ["BrokenPipeError", true]}}
"""A broken pipe is an exception, as SIGPIPE is ignored."""

import os
import signal


def main(params, context):
    reader, writer = os.pipe()
    os.close(reader)
    try:
        os.write(writer, b"x")
    except OSError as error:
        return [type(error).__name__, signal.getsignal(signal.SIGPIPE) is signal.SIG_IGN]
    finally:
        os.close(writer)
