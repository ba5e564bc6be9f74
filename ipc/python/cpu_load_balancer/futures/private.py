"""A private daemon for an Executor."""

from __future__ import annotations

import os
import tempfile
from typing import Callable, Optional, Tuple

from .. import Engine

# Nothing of the calls outlives the daemon. A carrier holds its slot for as long as there are calls, and has a process of
# its own, forked from a template that has loaded what each needs: so it is there soon, it may fork, and what it does to
# its process ends with it.
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
  workers    = 1
  threads    = {workers}
  pin        = false
  isolation  = "process"
  window     = "0s"
  relief     = 0
  preload    = ["multiprocessing.spawn", "runpy", "hmac", "mmap", "pickle", "socket", "dataclasses"]
}}
"""


def private_engine(bin_dir: Optional[str], workers: int) -> Tuple[Engine, Callable[[], None]]:
    """Return an Engine on a daemon with so many workers, and what ends it."""
    descriptor, path = tempfile.mkstemp(prefix="cpulb-futures-", suffix=".hcl")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(_CONFIG.format(workers=workers))
        engine = Engine.private(bin_dir, path)
    finally:
        os.unlink(path)
    return engine, engine.close
