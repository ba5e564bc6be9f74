"""Run every example on a private daemon and show where each ran.

    /usr/bin/python3 examples/demo.py BIN_DIR

Exits with 1 if a task failed or anything of the daemon is left behind.
"""

import json
import os
import shlex
import subprocess
import sys
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

EXAMPLES = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.dirname(EXAMPLES)
DOCS = os.path.join(REPOSITORY, "docs")
sys.path.insert(0, os.path.join(REPOSITORY, "ipc", "python"))

from cpu_load_balancer import CPULoadBalancerError, Engine, Task, TaskType  # noqa: E402

COLUMNS = "{:<17} {:<10} {:<7} {:>4} {:>4} {:>8}  {}"
TIMEOUT_SECONDS = 60


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files without a line of log for each."""

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    """Takes many connections at once; one that it had no room for would be tried
    again only a second later."""

    request_queue_size = 128


@contextmanager
def web_server(folder):
    """Serve folder on a free port of this machine; gives the base URL."""
    with Server(("127.0.0.1", 0), partial(QuietHandler, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def tasks(url):
    """Return the tasks of the demonstration, for both pools in turn."""
    urls = [f"{url}/{name}" for name in sorted(os.listdir(DOCS)) if name.endswith(".md")]
    cpu, io = TaskType.CPU_BOUND, TaskType.IO_BOUND
    plan = [
        ("primes", {"limit": 5_000_000}, cpu), ("fetch_many", {"urls": urls}, io),
        ("primes", {"limit": 10_000_000}, cpu), ("sqlite_query", {"folder": EXAMPLES}, io),
        ("word_frequencies", {"paths": [DOCS], "suffix": ".md"}, cpu), ("fetch_many", {"urls": urls * 4}, io),
        ("primes", {"limit": 2_000_000}, cpu), ("digest_tree", {"folder": DOCS}, io),
        ("word_frequencies", {"paths": [EXAMPLES], "suffix": ".py"}, cpu), ("sqlite_query", {"folder": DOCS}, io),
        ("primes", {"limit": 20_000_000}, cpu), ("digest_tree", {"folder": EXAMPLES}, io),
    ]
    return [Task.create(script(name), params, kind, timeout=TIMEOUT_SECONDS) for name, params, kind in plan]


def script(name):
    return os.path.join(EXAMPLES, name + ".py")


def run_all(engine, url):
    """Submit everything, then print each result; return how many failed."""
    submitted = [(task, engine.submit_task(task)) for task in tasks(url)]
    print(COLUMNS.format("example", "status", "worker", "core", "slot", "ms", "result"))
    failed = 0
    for task, task_id in submitted:
        result = engine.get_result(task_id, TIMEOUT_SECONDS)
        failed += not result.is_success
        show(task, result)
    return failed


def show(task, result):
    """Print one line of the table."""
    worker = result.worker
    where = (worker.id, worker.core if worker.core >= 0 else "-", worker.slot) if worker else ("-", "-", "-")
    text = json.dumps(result.data) if result.is_success else str(result.error)
    name = os.path.splitext(os.path.basename(task.script_path))[0]
    print(COLUMNS.format(name, result.status.value, *where, f"{result.run_seconds * 1000:.1f}", shortened(text)))


def shortened(text, width=60):
    return text if len(text) <= width else text[:width - 1] + "…"


def command_line(bin_dir, socket, *arguments):
    """Run cpulb, print what it says, and return 1 if it failed."""
    print("\n$ cpulb " + shlex.join(os.path.relpath(a) if os.path.isabs(a) else a for a in arguments), flush=True)
    return int(subprocess.run([os.path.join(bin_dir, "cpulb"), "--socket", socket, *arguments]).returncode != 0)


def left_over(engine):
    """Say what of the daemon is still there, and return how much it is."""
    left = []
    if os.path.exists(f"/proc/{engine.daemon_pid}"):
        left.append(f"process {engine.daemon_pid}")
    if os.path.exists(os.path.dirname(engine.socket)):
        left.append(f"folder {os.path.dirname(engine.socket)}")
    for thing in left:
        print(f"left behind: {thing}", file=sys.stderr)
    return len(left)


def main(arguments):
    """Run the demonstration and return the exit code."""
    if len(arguments) != 1:
        print("usage: demo.py BIN_DIR", file=sys.stderr)
        return 2
    bin_dir = os.path.abspath(arguments[0])
    with web_server(DOCS) as url, Engine.private(bin_dir) as engine:
        bad = run_all(engine, url)
        bad += command_line(bin_dir, engine.socket, "run", script("primes"), "--params", '{"limit":100000}')
        bad += command_line(bin_dir, engine.socket, "status")
    bad += left_over(engine)
    print(f"\n{bad} problems" if bad else "\nAll succeeded; the daemon and its folder are gone.")
    return int(bad > 0)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except CPULoadBalancerError as error:
        print(f"demo.py: {error} [{error.code}]", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit("demo.py: interrupted")
