"""Whether the workers' Python understands this one's pickles."""

from __future__ import annotations

import sys
from typing import Any, Optional

from .. import Engine
from ..api import call
from .errors import VersionError

_ANSWER_SECONDS = 30


def check_version(engine: Engine, pool: Optional[str]) -> None:
    """VersionError when the workers of that pool (None: of the pools for CPU-bound tasks) run another minor version of Python.
    What the daemon does not say yet, since no worker runs, is seen when one connects."""
    here = "%d.%d" % sys.version_info[:2]
    for executor in call(engine.socket, "GET", "/v1/executors", _ANSWER_SECONDS)[1]["executors"]:
        if pool is not None and pool not in executor.get("pools", ()):
            continue
        there = _minor(executor.get("version"))
        if there and there != here:
            raise VersionError(f"the workers of executor {executor['name']} run Python {there} and this is Python {here}: "
                               "pickles of one are not for the other; run this program with the workers' version")


def _minor(version: Any) -> str:
    words = str(version or "").split()
    return ".".join(words[1].split(".")[:2]) if len(words) > 1 and words[0] == "CPython" else ""
