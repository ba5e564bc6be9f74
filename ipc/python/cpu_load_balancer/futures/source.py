"""The script that an Executor's tasks run, as text."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

_MODULES = ("wire", "memory", "raised", "output", "turn", "worker")  # in the order in which they import each other
# Read now: they are to be those that this program has loaded, whatever is installed while it runs.
_TEXTS = {name: (Path(__file__).parent / f"{name}.py").read_text(encoding="utf-8") for name in _MODULES}

# Each Executor has a script of its own, since its settings are in it: so the daemon's workers keep apart what the
# calls of different Executors import, and what their initializers do. They can where a task owns its process, which
# then runs it in the main thread; several threads have one __main__, one sys.path and one environment.
_SCRIPT = '''# Runs the calls of a cpu_load_balancer.futures.Executor.
import sys
import threading
from types import ModuleType

if threading.current_thread() is not threading.main_thread():
    raise RuntimeError("the calls of an Executor take a process that runs no other task meanwhile, and this pool's workers run "
                       "several: name a pool with threads = 1 and without async_concurrency, or one with isolation = \\"process\\"")

_PACKAGE = "_cpulb_futures"
_TEXTS = {texts!r}


def _load():
    sys.modules[_PACKAGE] = package = ModuleType(_PACKAGE)
    package.__path__ = []
    for name, text in _TEXTS.items():
        full = _PACKAGE + "." + name
        module = sys.modules[full] = ModuleType(full)
        module.__package__ = _PACKAGE
        setattr(package, name, module)
        exec(compile(text, "<cpu_load_balancer.futures.%s>" % name, "exec"), module.__dict__)
    return package.worker


_process = _load().Process({settings!r})


def main(params, context):
    return _process.serve(params["carrier"], params["limits"], context)
'''


def script(settings: Dict[str, Any]) -> str:
    """Return it."""
    return _SCRIPT.format(texts=_TEXTS, settings=settings)
