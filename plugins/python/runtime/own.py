"""What Python keeps for the whole process, made each task's own.

environ, sys.argv and sys.path have layers: what a task changes is seen by the task
alone, what a script changes while it is loaded by every task of its folder, and
what a library changes while it is imported by everyone. sys.stdout, stderr and
stdin can be replaced by a task for itself. What can't be layered is put back at the
task's end; the rules are in docs/scripts.md.
"""

import functools
import gc
import locale
import os
import socket
import subprocess
import sys
import time
import types
import warnings

from cpulb.output import current, owner


class Layers:
    """One value of the process, with what tasks and folders have made of theirs."""

    def __init__(self, name, base):
        self.name = name
        self.base = base

    def read(self):
        context = owner()
        if context is None:
            return self.base
        for layer in (context._own, getattr(context._folder, "own", None)):
            if layer is not None and self.name in layer:
                return layer[self.name]
        return self.base

    def write(self):
        """What the caller may change."""
        context = owner()
        if context is None or current.importing:
            return self.base
        if current.loading is not None:
            return current.loading.own.setdefault(self.name, self.base.copy())
        if context._own is None:
            context._own = {}
        return context._own.setdefault(self.name, self.read().copy())

    def replace(self, value):
        context = owner()
        if context is None or current.importing:
            self.base = value
        elif current.loading is not None:
            current.loading.own[self.name] = value
        else:
            context._own = {**(context._own or {}), self.name: value}


class OwnList(list):
    """A list that is the caller's own layer. Its own storage is never looked at."""

    def __init__(self, layers):
        super().__init__()
        self._layers = layers

    def __reduce_ex__(self, protocol):
        return list, (list(self._layers.read()),)


def _delegate(kind, reading, writing):
    def method(name, layer):
        def call(self, *args, **options):
            return getattr(layer(self._layers), name)(*args, **options)
        return functools.wraps(getattr(list, name))(call)

    for name in reading:
        setattr(kind, name, method(name, Layers.read))
    for name in writing:
        setattr(kind, name, method(name, Layers.write))


_delegate(OwnList,
          ("__getitem__", "__len__", "__iter__", "__reversed__", "__contains__", "__eq__", "__ne__", "__lt__", "__le__",
           "__gt__", "__ge__", "__repr__", "__add__", "__mul__", "__rmul__", "copy", "count", "index"),
          ("__setitem__", "__delitem__", "append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"))
OwnList.__hash__ = None
OwnList.__iadd__ = lambda self, more: (self.extend(more), self)[1]


class Environ(os._Environ):
    """os.environ and os.environb of whoever asks. The process's own environment,
    which C libraries read, changes only while a library is imported."""

    @property
    def _data(self):
        return environ.read()

    def __setitem__(self, key, value):
        data, key, value = environ.write(), self.encodekey(key), self.encodevalue(value)
        if data is environ.base:
            os.putenv(key, value)
        data[key] = value

    def __delitem__(self, key):
        data, name = environ.write(), self.encodekey(key)
        if name not in data:
            raise KeyError(key)
        if data is environ.base:
            os.unsetenv(name)
        del data[name]


environ = Layers("environ", os.environ._data)
argv = Layers("argv", [""])
path = Layers("path", list(sys.path))


class OwnSys(types.ModuleType):
    """sys, with streams that a task can replace for itself."""


OwnSys.__name__ = OwnSys.__qualname__ = "module"  # as messages show it


def _own_attribute(name, get, layers):
    setattr(OwnSys, name, property(lambda module: get(), lambda module, value: layers.replace(value)))


def install_sys():
    for name, layers in (("argv", argv), ("path", path)):
        shared = OwnList(layers)
        setattr(sys, name, shared)
        _own_attribute(name, lambda shared=shared: shared, layers)
    for name in ("stdout", "stderr", "stdin"):
        layers = Layers(name, getattr(sys, name))
        _own_attribute(name, layers.read, layers)
        if name != "stdin":
            layers.base.replaced = layers.read
    sys.__class__ = OwnSys


def undo_later(name, undo):
    """Have undo called at the end of the task that calls, once for each name."""
    context = owner()
    if context is not None and not current.importing and current.loading is None:
        if context._undo is None:
            context._undo = {}
        context._undo.setdefault(name, undo)


def undo(context):
    """Put back what a task that has ended has changed."""
    changes, context._undo = context._undo, None
    for change in changes.values():
        try:
            change()
        except Exception as error:
            os.write(2, ("cpulb: what a task changed can't be put back: %r\n" % error).encode())


def _watch(module, name, saved):
    """Make module.name note beforehand how to undo what it does."""
    function = getattr(module, name)

    @functools.wraps(function)
    def watched(*args, **options):
        undo_later(module.__name__ + "." + name, saved())
        return function(*args, **options)

    setattr(module, name, watched)


def _keep(read, write):
    def saved():
        value = read()
        return lambda: write(value)
    return saved


def _read_umask():
    mask = os_umask(0o077)
    os_umask(mask)
    return mask


def _filters(value):
    warnings.filters[:] = value
    warnings._filters_mutated()


os_umask = os.umask


def watch_changes():
    for name in ("chdir", "fchdir"):
        _watch(os, name, _keep(os.getcwd, os.chdir))
    _watch(os, "umask", _keep(_read_umask, os_umask))
    for name in ("filterwarnings", "simplefilter", "resetwarnings"):
        _watch(warnings, name, _keep(lambda: warnings.filters[:], _filters))
    _watch(sys, "setrecursionlimit", _keep(sys.getrecursionlimit, sys.setrecursionlimit))
    _watch(sys, "setswitchinterval", _keep(sys.getswitchinterval, sys.setswitchinterval))
    _watch(sys, "settrace", lambda: lambda: sys_settrace(None))
    _watch(sys, "setprofile", lambda: lambda: sys_setprofile(None))
    _watch(socket, "setdefaulttimeout", _keep(socket.getdefaulttimeout, socket.setdefaulttimeout))
    for name in ("enable", "disable"):
        _watch(gc, name, _keep(gc.isenabled, lambda on: gc_enable() if on else gc_disable()))


sys_settrace, sys_setprofile, gc_enable, gc_disable = sys.settrace, sys.setprofile, gc.enable, gc.disable


def refuse_setlocale():
    setlocale = locale.setlocale

    @functools.wraps(setlocale)
    def asked(category, locale=None):
        if locale is not None and owner() is not None and not current.importing:
            raise RuntimeError("a task can't change the locale, which is the whole worker's; set LC_ALL in the "
                               "executor's env, or format with a library that takes a locale")
        return setlocale(category, locale)

    locale.setlocale = asked


def refuse_putenv():
    def refused(*args):
        raise RuntimeError("a task can't change the environment of the process; os.environ is the task's own")

    putenv, unsetenv = os.putenv, os.unsetenv
    for name, function in (("putenv", putenv), ("unsetenv", unsetenv)):
        def asked(*args, function=function):
            return refused() if owner() is not None and not current.importing else function(*args)
        setattr(os, name, asked)


def refuse_tzset():
    tzset = time.tzset

    def asked():
        if owner() is not None and not current.importing:
            raise RuntimeError("a task can't change the time zone, which is the whole worker's; use zoneinfo, or set TZ in "
                               "the executor's env")
        tzset()

    time.tzset = asked


def pass_environ():
    """Give the children of a task the environment that it has made its own."""
    start = subprocess.Popen.__init__

    @functools.wraps(start)
    def start_with_environ(self, *args, **options):
        if len(args) < 11 and options.get("env") is None and environ.read() is not environ.base:
            options["env"] = dict(os.environ)
        start(self, *args, **options)

    subprocess.Popen.__init__ = start_with_environ


def refuse_breakpoint(*args, **options):
    raise RuntimeError("a task has no terminal for a debugger")


def install():
    os.environ.__class__ = os.environb.__class__ = Environ
    install_sys()
    watch_changes()
    refuse_setlocale()
    refuse_putenv()
    refuse_tzset()
    pass_environ()
    sys.breakpointhook = refuse_breakpoint
