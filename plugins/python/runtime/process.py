"""What is set up once in a worker, before any slot."""

import _frozen_importlib
import importlib
import sys

from cpulb import TaskCancelled, TaskTimeout, loader
from cpulb.errors import unseen
from cpulb.exclusive import Exclusive
from cpulb.held import _embedpy, threading
from cpulb.shared import Shared
from cpulb.state import is_loaded
from cpulb.table import Affinity

house = None  # Exclusive or Shared
may_fork = False  # whether the process has one thread

NO_FORK = ('a task can\'t fork the worker it runs in, which has several threads; use subprocess, multiprocessing with the start '
           'method "spawn", or a pool with isolation = "process"')


def shield_imports():
    """Let no interrupt strike inside a library's import, and note what imports change.

    A library whose import breaks off stays half made for every later task, with
    submodules in sys.modules that their package does not know of. The code of
    scripts and of modules of their own can be interrupted all the same (see
    loader.Source): these are loaded again then.
    """
    find_and_load = _frozen_importlib._find_and_load  # both imports, C's and importlib's, look it up there
    keeper = house.keeper

    @unseen
    def shielded(name, import_):
        if is_loaded(name):
            return find_and_load(name, import_)
        return _embedpy.shielded(keeper.import_, name, find_and_load, import_)

    _frozen_importlib._find_and_load = shielded


def spawn_by_default():
    """A process of many threads can't be forked, so multiprocessing's default is to start another."""
    context = sys.modules["multiprocessing.context"]
    context._default_context._default_context = context._concrete_contexts["spawn"]


def note_reference():
    """Called on the thread that runs no task."""
    Affinity.reference = threading.get_native_id()
    return ()


def preload(name):
    """Import a module for all tasks to come."""
    importlib.import_module(name)
    return ()


def install(exclusive, folder, daemon, forks=False, once=False):
    """Make this the process of an exclusive worker, or of a shared one, whose private
    folder that is, and whose daemon has that uid. On Python's main thread. With forks it has no other, and
    can be forked; with once it runs one task."""
    global house, may_fork
    may_fork = forks
    importlib.invalidate_caches()  # imports what it needs, which no task should wait for
    _embedpy.set_interrupts(TaskCancelled, TaskTimeout)
    for event in () if may_fork else ("os.fork", "os.forkpty"):
        _embedpy.refuse(event, NO_FORK)
    house = Exclusive(forks, once) if exclusive else Shared(folder)
    loader.install(daemon, folder)
    return ()


def ready():
    """Preloading is done."""
    house.ready()
    shield_imports()
    for module, then in (("multiprocessing.context", spawn_by_default if not may_fork else bool), ("multiprocessing.spawn", house.serve_children)):
        if module in sys.modules:
            then()
        else:
            house.keeper.after_import[module] = then
    return ()
