"""A private daemon for an Executor."""

from __future__ import annotations

import os
import tempfile
from typing import Callable, Optional, Tuple

from .. import Engine

# Calls are tasks' own matter: nothing of them outlives the daemon. A carrier holds its worker for as long as there are
# calls, so that a slot needs no second task and nobody waits behind another.
_CONFIG = """
journal {{ sync = "off" }}
access {{ source = true }}
limits {{ drain_timeout = "2s" }}
executor "python" {{
  command = "cpulb-python"
}}
pool "futures" {{
  executor   = "python"
  task_types = ["cpu_bound"]
  workers    = {workers}
  threads    = 1
  pin        = false
  window     = "0s"
  relief     = 0
{more}}}
"""

_PROCESSES = """  isolation  = "process"
  max_tasks  = 1
  preload    = ["multiprocessing.spawn", "runpy", "hmac", "mmap", "pickle", "socket"]
"""


def private_engine(bin_dir: Optional[str], workers: int, calls_each: Optional[int]) -> Tuple[Engine, Callable[[], None]]:
    """Return an Engine on a daemon with so many workers, and what ends it. calls_each: each
    carrier, which runs so many calls, has a process of its own."""
    descriptor, path = tempfile.mkstemp(prefix="cpulb-futures-", suffix=".hcl")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(_CONFIG.format(workers=workers, more=_PROCESSES if calls_each else ""))
        engine = Engine.private(bin_dir, path)
    finally:
        os.unlink(path)
    return engine, engine.close
