"""What the runtime needs of the standard library, as it was before any script ran.

A script can put anything in the place of json.dumps or os.stat, and takes nothing from
the runtime with that. Where the runtime is to see what scripts see, it uses the module.
"""

import sys

LOADED_BY_PYTHON = frozenset(sys.modules)  # before our own modules had any imports; what python3 itself has loaded

import contextlib
import contextvars
import inspect
import json
import os
import threading
import time
import traceback
import warnings
import _embedpy
import _thread
from types import ModuleType


def held(module):
    """A module with what that one has now."""
    copy = ModuleType(module.__name__)
    copy.__dict__.update(module.__dict__)
    return copy


contextlib, contextvars, inspect, json, os = map(held, (contextlib, contextvars, inspect, json, os))
threading, time, traceback, _embedpy, _thread = map(held, (threading, time, traceback, _embedpy, _thread))
os.path = held(os.path)
filters_mutated = warnings._filters_mutated
get_recursion_limit, set_recursion_limit = sys.getrecursionlimit, sys.setrecursionlimit

MODULES = sys.modules
DEPTH = 200  # frames that the runtime needs, and more


def steady():
    """Put back what the runtime itself stands on."""
    if get_recursion_limit() < DEPTH:
        set_recursion_limit(DEPTH)
    if sys.modules is not MODULES:
        sys.modules = MODULES
