"""A daemon that a test ends and starts again."""

import os
import signal
import subprocess
import tempfile
import textwrap

from cpu_load_balancer import Engine

BIN = os.environ.get("CPULB_BIN") or os.path.join(os.path.dirname(__file__), "../../../bin")
CONFIG = """
pool "io" {
  executor   = "python"
  task_types = ["cpu_bound", "io_bound"]
  workers    = 1
  threads    = 64
  pin        = false
}

limits {
  drain_timeout = "0s"
  cancel_grace  = "100ms"
}
"""


# Where an Executor's calls may run: its one worker runs one task at a time.
EXCLUSIVE = "access { source = true }\n" + CONFIG.replace("threads    = 64", "threads    = 1")


class RestartedDaemon:
    """Its socket and its state stay the same over restarts."""

    def __init__(self, test, config=CONFIG):
        folder = tempfile.TemporaryDirectory(prefix="cpulb-test-")
        test.addClassCleanup(folder.cleanup)
        self.folder = folder.name
        self.socket = os.path.join(self.folder, "s")
        config = self.write("config.hcl", config)
        self._command = [os.path.join(os.path.abspath(BIN), "cpulbd"), "-private", "-socket", self.socket,
                         "-state-dir", os.path.join(self.folder, "state"), "-config", config]
        self._process = None
        test.addClassCleanup(self.end, signal.SIGKILL)
        self.start()

    def write(self, name, text):
        """Write a file and return its path."""
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(textwrap.dedent(text))
        return path

    def start(self):
        """Start it. It may take a while until it answers."""
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def end(self, how=signal.SIGTERM):
        """End it, if it runs."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            process.wait()

    def engine(self):
        """Return an Engine for it, once it answers."""
        engine = Engine(self.socket)
        engine._link.met = True
        engine.get_status()
        return engine
