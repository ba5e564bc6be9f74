"""What an Executor is given, looked at where it is given: later it would fail calls, or the thread that serves them."""

from __future__ import annotations

import operator
import os
from typing import Any, Dict, Mapping, Optional, Tuple

from .. import Engine, bounds

_MOST_WORKERS = 1024  # that a pool of a private daemon has


def check(mp_context: Any, initializer: Any, max_tasks_per_child: Any, engine: Any, pool: Any, bin_dir: Any, dumps: Any) -> None:
    """TypeError or ValueError for what an Executor can't be made with."""
    for name, function in (("initializer", initializer), ("dumps", dumps)):
        if not (callable(function) or function is None and name == "initializer"):
            raise TypeError(f"{name} must be a callable, not {function!r}")
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


def workers(value: Any, engine: Optional[Engine]) -> int:
    """Return how many workers there are to be at most."""
    if value is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    count = _whole(value, "max_workers", "must be greater than 0")
    if engine is None and count > _MOST_WORKERS:
        raise ValueError(f"max_workers must be at most {_MOST_WORKERS}, not {count}")
    return count


def calls_each(value: Any) -> int:
    """Return how many calls a process of a worker runs; 0: any number."""
    return 0 if value is None else _whole(value, "max_tasks_per_child", "must be >= 1")


def ahead(chunksize: Any, buffersize: Any) -> Tuple[int, Optional[int]]:
    """Return how many items of a map are one call, and how many calls are ahead of what is taken (None: all)."""
    buffer = None if buffersize is None else _whole(buffersize, "buffersize", "must be None or > 0")
    return _whole(chunksize, "chunksize", "must be >= 1."), buffer


def _whole(value: Any, name: str, bound: str) -> int:
    """Return value, which may be True, as where concurrent.futures takes it."""
    try:
        count = int(operator.index(value))
    except TypeError:
        raise TypeError(f"{name} must be an integer, not {value!r:.100}") from None
    if count < 1:
        raise ValueError(f"{name} {bound}")
    return count


def items(value: Any, name: str) -> Tuple[Any, ...]:
    """Return the items of an iterable."""
    try:
        return tuple(value)
    except TypeError:
        raise TypeError(f"{name} must be an iterable, such as a tuple, not {value!r:.100}") from None


def seconds(value: Any, name: str) -> Optional[float]:
    """Return for how long a call may run."""
    limit = bounds.number(value, name)
    if limit is not None and not limit > 0:  # nan is not
        raise ValueError(f"{name} must be greater than 0, not {value!r:.100}")
    return limit


def wait_seconds(value: Any, name: str) -> Optional[float]:
    """Return for how long a result is waited for. It may be less than 0, as for concurrent.futures."""
    limit = value if isinstance(value, bool) else bounds.number(value, name)
    if limit != limit:
        raise ValueError(f"{name} must be a number of seconds, not {value!r:.100}")
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
