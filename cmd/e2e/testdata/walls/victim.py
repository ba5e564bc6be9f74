"""Somebody's task: it holds a secret in its params, and one in a file of its own, until it is let go."""

import os
import time


def main(params):
    own = params["folder"] + "/own-" + params["name"]
    if os.path.exists(own):  # it was here before, in a worker that died
        os.unlink(own)
    with open(own, "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as f:
        f.write(params["secret"])
    ready = params["folder"] + "/pid-" + params["name"]
    with open(ready + ".part", "w") as f:
        f.write(str(os.getpid()))
    os.rename(ready + ".part", ready)
    while not os.path.exists(params["folder"] + "/go"):
        time.sleep(0.01)
    os.unlink(own)
    os.unlink(ready)
    return params["secret"]
