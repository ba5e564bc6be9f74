import functools
import os
import random
import subprocess
import sys
from multiprocessing import Pool
from multiprocessing import Pool as workers
from os import system, system as shell
from random import randint
from subprocess import Popen, getoutput

from helper_of_plain import NAME

own = os.system
listed = random.randrange
__all__ = ["listed"]


def given(params, context):
    return "given"


def decorate(function):
    @functools.wraps(function)
    def inner(params, context):
        return function(params, context)
    return inner


@decorate
def decorated(params, context):
    return "decorated"


@functools.lru_cache
def cached(params, context):
    return "cached"


class Made:
    def __init__(self, params, context):
        pass

    def __call__(self, params, context):
        return "called"


called = Made(None, None)
short = lambda params, context: "short"
partial = functools.partial(given, context=None)
method = called.__call__


def __getattr__(name):
    return given
