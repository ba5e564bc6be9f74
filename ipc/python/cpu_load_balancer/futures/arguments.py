"""What an Executor is given, looked at where it is given: later it would fail calls, or the thread that serves them."""

from __future__ import annotations

import os
from numbers import Real
from typing import Any, Dict, Mapping, Optional

from .. import Engine


def check(max_workers: Any, mp_context: Any, initializer: Any, initargs: Any, max_tasks_per_child: Any, engine: Any, pool: Any,
          bin_dir: Any, dumps: Any) -> None:
    """TypeError or ValueError for what an Executor can't be made with."""
    _check_count("max_workers", max_workers, "must be greater than 0")
    _check_count("max_tasks_per_child", max_tasks_per_child, "must be >= 1")
    for name, function in (("initializer", initializer), ("dumps", dumps)):
        if not (callable(function) or function is None and name == "initializer"):
            raise TypeError(f"{name} must be a callable, not {function!r}")
    if not isinstance(initargs, tuple):
        raise TypeError(f"initargs must be a tuple, not {initargs!r}")
    if not (engine is None or isinstance(engine, Engine)):
        raise TypeError(f"engine must be an Engine or None, not {engine!r}")
    if not (pool is None or isinstance(pool, str)):
        raise TypeError(f"pool must be a pool's name or None, not {pool!r}")
    if not (bin_dir is None or isinstance(bin_dir, (str, os.PathLike))):
        raise TypeError(f"bin_dir must be a folder's path or None, not {bin_dir!r}")
    if engine is not None and max_tasks_per_child is not None:
        raise ValueError("max_tasks_per_child takes a private daemon: of a shared one its configuration says when workers "
                         "are exchanged (pool.max_tasks)")
    if mp_context is not None and mp_context.get_start_method() == "fork":
        raise ValueError('mp_context is "fork", and the workers are not forked: they load the main module anew, as with "spawn"')


def _check_count(name: str, count: Any, bound: str) -> None:
    if count is None:
        return
    if not isinstance(count, int):
        raise TypeError(f"{name} must be an integer, not {count!r}")
    if count <= 0:
        raise ValueError(f"{name} {bound}")


def seconds(value: Any, name: str) -> Optional[float]:
    """Return for how long a call may run."""
    if value is None:
        return None
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number of seconds or None, not {value!r}")
    limit = float(value)
    if not limit > 0:  # nan is not
        raise ValueError(f"{name} must be greater than 0, not {value!r}")
    return limit


def environment(env: Any) -> Dict[str, str]:
    """Return the variables that workers are to have."""
    if env is None:
        return {}
    if not isinstance(env, Mapping):
        raise TypeError(f"env must be a mapping of names to texts, not {env!r}")
    for name, value in env.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"env must have texts alone, not {name!r}: {value!r}")
        if not name or "=" in name or "\0" in name or "\0" in value:
            raise ValueError(f"env has {name!r}: {value!r}; a name is not empty and has no \"=\", and neither has a NUL")
    return dict(env)
