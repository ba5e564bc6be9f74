# {"pools": "exclusive shared", "want": {"data": ["read by python3", "read here"]}}
"""What is pickled here, of classes of a sibling, is read by python3, and the other way round."""

import os
import pickle
import subprocess

import things_beside

READ = "import pickle, sys; print(pickle.load(sys.stdin.buffer).text, end='')"
WRITE = "import pickle, sys, things_beside; pickle.dump(things_beside.Thing('read here'), sys.stdout.buffer)"


def python(text, given):
    folder = os.path.dirname(os.path.abspath(__file__))
    return subprocess.run(["/usr/bin/python3", "-B", "-c", text], input=given, capture_output=True, cwd=folder, check=True).stdout


def main(params, context):
    return [python(READ, pickle.dumps(things_beside.Thing("read by python3"))).decode(), pickle.loads(python(WRITE, b"")).text]
