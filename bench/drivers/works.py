"""The works that are measured: every system under test calls these same functions.

A work returns what follows from its params alone (see expected), so that each
result is checked. Scripts of cpulb are called with a context, which nobody uses.
"""
import itertools
import sys
import time


def noop(params, context=None):
    """Nothing: what is measured is everything else."""
    return params


def spin(params, context=None):
    """So many seconds of CPU time, however often others have the core meanwhile."""
    end = time.thread_time() + params
    while time.thread_time() < end:
        pass
    return params


def count(params, context=None):
    """A fixed amount of computing: so many rounds."""
    total = 0
    for i in range(params):
        total += i
    return total


def sleep(params, context=None):
    """So many seconds of waiting."""
    time.sleep(params)
    return params


def add(params, context=None):
    """The sum of a numpy array of whole numbers: what is measured is how it comes there, and that it is read."""
    return int(params.sum())


def total(params, context=None):
    """A sum by numpy, which whoever runs it has to import."""
    import numpy

    return int(numpy.arange(params).sum())


def frame(params, context=None):
    """The same by pandas."""
    import numpy
    import pandas

    return int(pandas.DataFrame({"value": numpy.arange(params)})["value"].sum())


def hang(params, context=None):
    """C code that neither returns nor looks for signals."""
    return sum(itertools.repeat(1, 10**12))


def expected(work, params):
    """Return what the work must return."""
    if work == "add":
        return int(params.sum())
    return params * (params - 1) // 2 if work in ("count", "total", "frame") else params


if __name__ == "__main__":
    print(globals()[sys.argv[1]](int(sys.argv[2])))
