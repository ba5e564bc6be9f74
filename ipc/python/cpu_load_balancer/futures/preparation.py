"""What a worker is sent before its first call: as much as multiprocessing's spawn gives a new process."""

from __future__ import annotations

import os
import pickle
import sys
import sysconfig
from multiprocessing import spawn
from typing import Any, Callable, Dict, Mapping, Tuple


def preparation(initializer: Any, arguments: Tuple[Any, ...], env: Mapping[str, str], dumps: Callable[..., bytes]) -> Dict[str, Any]:
    """Return it. RuntimeError in a worker that loads its main module: an Executor that is made there has to be behind
    `if __name__ == "__main__"`."""
    data = spawn.get_preparation_data("cpulb-futures")
    data["authkey"] = bytes(data["authkey"])
    data.pop("start_method", None)  # the workers' own is the one that works there
    if os.path.basename(data.get("init_main_from_path", "")).startswith("<"):  # "<stdin>": it can't be loaded again
        del data["init_main_from_path"]
    return {"preparation": data, "path": _path(data["sys_path"]), "environ": {**os.environ, **env},
            "warnings": list(sys.warnoptions), "dumps": pickle.dumps(dumps), "initializer": dumps((initializer, arguments), protocol=5)}


def _path(entries: Any) -> Tuple[Any, Any]:
    """Return sys.path without the standard library, which is the worker's own: what comes before it and what comes after."""
    libraries = {os.path.realpath(path) for path in _standard()}
    own = [i for i, entry in enumerate(entries) if os.path.realpath(entry) in libraries]
    first = own[0] if own else len(entries)
    return entries[:first], [entry for i, entry in enumerate(entries) if i >= first and i not in own]


def _standard() -> Any:
    library = sysconfig.get_path("stdlib")
    yield library
    yield sysconfig.get_path("platstdlib")
    yield os.path.join(sysconfig.get_config_var("DESTSHARED") or os.path.join(library, "lib-dynload"))
    yield os.path.join(library, "lib-dynload")
    yield os.path.join(sys.base_prefix, sys.platlibdir, "python%d%d.zip" % sys.version_info[:2])
