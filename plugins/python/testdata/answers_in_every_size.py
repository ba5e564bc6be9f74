"""What comes up for a task: events in their order, output, then the result."""

import os
import sys


def main(params, context):
    for kind in params["events"]:
        if kind == "progress":
            context.progress(0.5, params["name"])
        elif kind == "log":
            context.log.info(params["name"])
        elif kind == "partial":
            context.emit(params["name"] * 1000)
    if params["prints"]:
        print(params["name"])
        os.write(2, params["name"].encode())
    if params["keeps"]:
        sum(range(params["keeps"]))  # and the lock with it
    if params["size"] < 0:
        raise ValueError(params["name"])
    return "x" * params["size"]
