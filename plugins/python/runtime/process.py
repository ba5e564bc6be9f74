"""What is set up once in a worker, before any slot."""

import os
import sys

import _embedpy
from cpulb import TaskCancelled, TaskTimeout, output


def refuse_fork(*args, **kwargs):
    raise RuntimeError("a task can't fork the worker it runs in; use subprocess, or multiprocessing "
                       "with the start method 'spawn'")


def install():
    _embedpy.set_interrupts(TaskCancelled, TaskTimeout)
    output.install()
    sys.argv = [""]
    os.fork = os.forkpty = refuse_fork


install()
