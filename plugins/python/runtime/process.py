"""What is set up once in a worker, before any slot."""

import _frozen_importlib
import importlib
import os
import sys

import _embedpy
from cpulb import TaskCancelled, TaskTimeout, output, own
from cpulb.errors import unseen
from cpulb.output import current


def refuse_fork(*args, **kwargs):
    raise RuntimeError("a task can't fork the worker it runs in; use subprocess, or multiprocessing "
                       "with the start method 'spawn'")


def shield_imports():
    """Let no interrupt strike inside an import.

    A library whose import breaks off stays half made for every later task, with
    submodules in sys.modules that their package does not know of. The code of
    scripts and of the modules beside them can be interrupted all the same (see
    Loader in scripts.py): their folder is loaded afresh then.
    """
    find_and_load = _frozen_importlib._find_and_load  # both imports, C's and importlib's, look it up there

    @unseen
    def shielded(name, import_):
        current.importing += 1
        try:
            return _embedpy.shielded(find_and_load, name, import_)
        finally:
            current.importing = max(current.importing - 1, 0)

    _frozen_importlib._find_and_load = shielded


def preload(name):
    """Import a module for all tasks to come."""
    importlib.import_module(name)
    return ()


def install():
    importlib.invalidate_caches()  # imports what it needs, which no task should wait for
    shield_imports()
    _embedpy.set_interrupts(TaskCancelled, TaskTimeout)
    output.install()
    own.install()
    os.fork = os.forkpty = refuse_fork


install()
