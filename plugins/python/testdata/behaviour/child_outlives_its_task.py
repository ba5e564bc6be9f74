# {"pools": "exclusive", "python": "no", "steps": [{"params": "leave", "want": {"data": "left", "stdout": "now\n"}}, {"do": "open", "name": "gate"}, {"params": "look", "want": {"data": "looked", "stdout": "second\n"}}]}
"""A child that a task leaves behind does not print into the next task's output, and keeps nobody waiting."""

import os
import subprocess


def main(params, context):
    if params == "leave":
        gate = os.path.join(os.path.dirname(__file__), "gate")
        subprocess.Popen(["sh", "-c", "head -c1 '%s' >/dev/null; echo later" % gate])
        print("now")
        return "left"
    print("second")
    return "looked"
