# {"pools": "exclusive shared", "python": "no", "steps": [{"params": "leave", "want": {"stdout": "of the first\n"}}, {"do": "open", "name": "gate"}, {"params": "join", "want": {"data": true, "stdout": "of the second\n"}}], "keeps": "stdout stderr"}
"""What a thread prints that outlived its task is not the output of the next one."""

import os
import threading

left = []


def late(gate):
    with open(gate, "rb", 0) as file:
        file.read(1)
    print("late")


def main(params, context):
    if params == "leave":
        print("of the first")
        left.append(threading.Thread(target=late, args=[os.path.join(os.path.dirname(__file__), "gate")], daemon=True))
        left[0].start()
        return
    print("of the second")
    left.pop().join()
    return True
