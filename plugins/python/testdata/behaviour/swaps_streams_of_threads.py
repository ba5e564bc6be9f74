# {"pools": "exclusive shared", "times": 2, "want": {"data": "in the thread\n", "stdout": "outside\n"}}
"""A redirection holds for the threads that print meanwhile."""

import contextlib
import io
import threading


def main(params, context):
    with contextlib.redirect_stdout(io.StringIO()) as text:
        thread = threading.Thread(target=print, args=["in the thread"])
        thread.start()
        thread.join()
    print("outside")
    return text.getvalue()
