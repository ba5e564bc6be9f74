# {"pools": "exclusive shared", "times": 2, "fresh": true, "want": {"data": [["whole", "whole"], ["Late", "Late"]], "stdout": "loaded\nloaded, too\n"}}
"""While one thread imports a module, another one that wants it waits until it is whole; so does pickle."""

import pickle
import sys
import threading

sys.loads_begun = threading.Event()


def both(function):
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(function())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def importing():
    import half_a_module
    return half_a_module.END


def unpickling():
    return type(pickle.loads(b"\x80\x03cpickled_half\nLate\nq\x00)\x81q\x01.")).__name__


def main(params, context):
    for name in ("half_a_module", "pickled_half"):
        sys.modules.pop(name, None)
    return [both(importing), both(unpickling)]
