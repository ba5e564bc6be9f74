"""drive: what the drivers have in common.

A driver is a program that sets one system up, says that it is ready, and then
measures what its standard input asks for, a line of JSON each:

    {"op": "roundtrip", "work": "noop", "params": {"range": 1000}}   one after the other, each timed
    {"op": "each", …}     each handed over by itself, then all results fetched
    {"op": "batch", …}    the way the system has for many at once

and answers with {"seconds": …, "ns": […]}, {"unsupported": why} or {"error": what}.
Every result is checked, after the clock was read. What the driver starts is of its
own process group, which ends with it.
"""
import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import threading
import time
import traceback
from importlib.metadata import version

import works

PYTHON = sys.executable


class Unsupported(Exception):
    """The system has no such thing; the text says why."""


class System:
    """One system under test, with its workers; ready when constructed."""

    settings = ""  # as its documentation advises for speed: told in the report

    def versions(self):
        """Return what is measured, by name and version."""
        return f"CPython {platform.python_version()}"

    def one(self, work, param):
        """Run one and return its result."""
        raise Unsupported("it has no call for one task")

    def each(self, work, params):
        """Hand each over by itself, and return the results in their order."""
        raise Unsupported("it takes tasks together only")

    def batch(self, work, params):
        """Hand all over together, and return the results in their order."""
        raise Unsupported("it takes tasks one by one only")

    def close(self):
        """End what was started."""


def function(work):
    """Return the function of that name."""
    return getattr(works, work)


def packages(*names):
    """Return Python packages with their versions, as text."""
    return ", ".join(f"{name} {version(name)}" for name in names)


def server(*command, **env):
    """Start a program whose output goes to the driver's log. It dies with its driver's group."""
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=2, env={**os.environ, **env})


def wait_for(ready, what, seconds=30):
    """Return once ready() is true, which may raise until then."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if ready():
                return
            last = "not yet"
        except Exception as error:  # of any library
            last = repr(error)
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} is not ready after {seconds} s: {last}")
        time.sleep(0.01)


def by_threads(threads, call, params):
    """Return call(param) for each of params, in their order, by so many threads: with less around it than an executor has."""
    results, errors, places = [None] * len(params), [], iter(range(len(params)))

    def work():
        try:
            for place in places:
                results[place] = call(params[place])
        except Exception as error:  # raised again below
            errors.append(error)

    running = [threading.Thread(target=work) for _ in range(min(threads, len(params)))]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    if errors:
        raise errors[0]
    return results


def spread(params):
    """Return the list that a command's params stand for."""
    if isinstance(params, list):
        return params
    if "range" in params:
        return list(range(params["range"]))
    if "objects" in params:
        return [{"value": i, "name": "ada"} for i in range(params["objects"])]
    if "repeat" in params:
        return [params["value"]] * params["repeat"]
    if "randoms" in params:
        try:
            import numpy
        except ImportError:
            raise Unsupported("numpy is not installed") from None
        return [numpy.random.default_rng(1).integers(1 << 31, size=params["randoms"] // 8)] * params["times"]
    return ["x" * params["bytes"]] * params["times"]


def perform(system, op, work, params):
    """Measure, check, and return the answer."""
    if op == "roundtrip":
        ns, results = [], []
        for param in params:
            start = time.perf_counter_ns()
            result = system.one(work, param)
            ns.append(time.perf_counter_ns() - start)
            results.append(result)
        answer = {"ns": ns, "seconds": sum(ns) / 1e9}
    else:
        many = {"each": system.each, "batch": system.batch}[op]
        start = time.perf_counter_ns()
        results = many(work, params)
        answer = {"seconds": (time.perf_counter_ns() - start) / 1e9}
    check(work, params, results)
    return answer


def check(work, params, results):
    """Raise unless the results are what the work must return, each in its place."""
    if len(results) != len(params):
        raise ValueError(f"{len(params)} tasks, {len(results)} results")
    for i, (param, result) in enumerate(zip(params, results)):
        if result != works.expected(work, param):
            raise ValueError(f"result {i} of {work}: {str(result)[:100]!r}, not {str(works.expected(work, param))[:100]!r}")


def _end(*_):
    """End the process group, if it is the driver's own: servers that it started go with it."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    sys.exit()


def serve(make):
    """Construct the system with make(options) and measure until the input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--waiting", action="store_true", help="the slots are for tasks that wait, not compute")
    parser.add_argument("--class", dest="kind", default="")
    parser.add_argument("--socket", default="")
    parser.add_argument("--bin", default="")
    options = parser.parse_args()
    # Nothing else may write to the pipe of the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A stopped group whose parent was killed gets this one: then there is no end of the input to be read.
    signal.signal(signal.SIGHUP, _end)
    system = None
    try:
        try:
            system = make(options)
        except Unsupported as why:
            print(json.dumps({"unsupported": str(why)}), file=answers)
            return
        print(json.dumps({"ready": True, "versions": system.versions(), "settings": system.settings}), file=answers)
        for line in sys.stdin:
            command = json.loads(line)
            try:
                answer = perform(system, command["op"], command["work"], spread(command["params"]))
            except Unsupported as why:
                answer = {"unsupported": str(why)}
            except Exception as error:  # told to whoever asked; the details are in the log
                traceback.print_exc()
                answer = {"error": f"{type(error).__name__}: {error}"}
            print(json.dumps(answer), file=answers)
    finally:
        if system is not None:
            system.close()
        _end()
