"""What a task's function may name: what its script defines, or lists in __all__.

Nothing here runs a script's code before it is known that the task may: attributes are read
where they are stored, past properties and __getattr__.
"""

import functools
import sys
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType

from cpulb.errors import Refusal
from cpulb.held import inspect

DICT_OF_MODULE = ModuleType.__dict__["__dict__"].__get__
DICT_OF_CLASS = type.__dict__["__dict__"].__get__
MODULE_OF_CLASS = type.__dict__["__module__"].__get__
MRO_OF_CLASS = type.__dict__["__mro__"].__get__
INSIDE_PARTIAL = functools.partial.func.__get__


def entry_point(module, path, function):
    """Return the function of that name and whether it takes the context."""
    if function.startswith("__") and function.endswith("__"):
        raise Refusal("no_entry_point", "AttributeError", "%s: %s is a name of Python's own, and no task's function" % (path, function))
    found = named(module, function)
    if found is None:
        raise Refusal("no_entry_point", "AttributeError",
                      "%s has no function %s; define %s(params, context)" % (path, function, function))
    if not callable(found):
        raise Refusal("no_entry_point", "TypeError", "%s: %s is a %s, not a function"
                      % (path, function, type(found).__name__))
    home = imported_from(found, module)
    if home is not None and not is_exported(module, function):
        raise Refusal("no_entry_point", "PermissionError", "%s: %s is imported from %s; define it, or name it in __all__"
                      % (path, function, home))
    try:
        parameters = inspect.signature(found)
    except Exception:
        return found, True  # a builtin that does not tell, or something that describes itself wrongly
    for arguments in (2, 1):
        try:
            parameters.bind(*(None,) * arguments)
            return found, arguments == 2
        except TypeError:
            pass
    raise Refusal("no_entry_point", "TypeError",
                  "%s: %s%s must take (params, context) or (params)" % (path, function, parameters))


def named(module, function):
    """What is stored under a name; None: nothing."""
    if issubclass(type(module), ModuleType):
        return names_of(module).get(function)
    # The script has put something else in its module's place: the methods of that are its functions.
    for cls in MRO_OF_CLASS(type(module)):
        found = DICT_OF_CLASS(cls).get(function)
        if found is not None:
            return MethodType(found, module) if type(found) is FunctionType else None
    return None


def names_of(module):
    """The variables of a module; of anything else none."""
    return DICT_OF_MODULE(module) if issubclass(type(module), ModuleType) else {}


def is_exported(module, function):
    """Whether a script's own __all__ lists the name; in a string each part of it would count as one."""
    names = names_of(module).get("__all__")
    return type(names) in (list, tuple) and any(type(name) is str and name == function for name in names)


def imported_from(found, module):
    """The module from which a script has something that it has not defined itself, by whatever name; None: it is its own."""
    own = names_of(module)
    home = home_of(found)
    if home is not None and home == own.get("__name__"):
        return None
    # Not only the module that it names: a method of a hidden instance, as random.randint is one, names its class's.
    # Nor only modules that are known: a script may have removed one from sys.modules.
    for names in (*map(names_of, list(sys.modules.values())), *globals_behind(found)):
        if names is not own and any(value is found for value in list(names.values())):
            return home if home in sys.modules else names.get("__name__")
    if issubclass(type(found), type) and home not in sys.modules and not any(names is own for names in globals_behind(found)):
        return home
    return None


def home_of(found):
    """The name of the module that something says it is from, or None."""
    kind = type(found)
    if kind is MethodType:
        return home_of(found.__func__)
    if kind in (FunctionType, BuiltinFunctionType):
        home = found.__module__
    elif issubclass(kind, type):
        home = MODULE_OF_CLASS(found)
    else:
        home = inspect.getattr_static(found, "__module__", None)
    return home if type(home) is str else None


def globals_behind(found):
    """The variables of the modules whose code is called by something."""
    kind = type(found)
    if kind is FunctionType:
        return [found.__globals__]
    if kind is MethodType:
        return globals_behind(found.__func__)
    if issubclass(kind, functools.partial):
        return globals_behind(INSIDE_PARTIAL(found))
    called = [found] if issubclass(kind, type) else MRO_OF_CLASS(kind)
    return [value.__globals__ for cls in called for value in list(DICT_OF_CLASS(cls).values()) if type(value) is FunctionType]
