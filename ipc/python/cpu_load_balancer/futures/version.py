"""Whether the workers' Python understands this one's pickles."""

from __future__ import annotations

import sys
from typing import Any, Optional

from .. import Engine
from ..api import call
from .errors import VersionError

_ANSWER_SECONDS = 30


def check_version(engine: Engine, pool: Optional[str]) -> None:
    """VersionError when the workers of that pool run another minor version of Python; without a pool when all do. What the
    daemon does not say yet, since no worker runs, is seen when one connects."""
    here = "%d.%d" % sys.version_info[:2]
    there = set()
    for executor in call(engine.socket, "GET", "/v1/executors", _ANSWER_SECONDS)[1]["executors"]:
        minor = _minor(executor.get("runtime"))
        if minor and (pool is None or pool in executor["pools"]):
            there.add(minor)
    if there and here not in there:
        raise VersionError(f"the workers run Python {' and '.join(sorted(there))} and this is Python {here}: pickles of one are "
                           "not for the other; run this program with the workers' version")


def _minor(runtime: Any) -> str:
    words = str(runtime or "").split()
    return ".".join(words[1].split(".")[:2]) if len(words) > 1 and words[0] == "CPython" else ""
