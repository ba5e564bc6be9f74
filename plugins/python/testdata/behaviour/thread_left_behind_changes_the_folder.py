# {"pools": "exclusive", "python": "no", "steps": [{"params": "leave"}, {"do": "open", "name": "gate"}, {"params": "join", "want": {"data": true}}], "keeps": "stdout stderr"}
"""A thread that a task leaves behind changes the folder during the next one. It is put back after that."""

import os
import threading

left = []


def change(gate):
    with open(gate, "rb", 0) as file:
        file.read(1)
    os.chdir("/usr")


def main(params, context):
    if params == "leave":
        left.append(threading.Thread(target=change, args=[os.path.join(os.path.dirname(__file__), "gate")], daemon=True))
        left[0].start()
        return
    left.pop().join()
    return True
