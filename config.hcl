# Configuration of cpulbd. What is written here is the built-in default: a key
# that is left out keeps it, and the daemon runs the same without any file.
# docs/configuration.md describes every key; `cpulbd -check-config -config FILE`
# tells what is wrong with a file, without starting anything.
#
# Durations are written "500ms", "30s", "1h30m"; sizes "64KiB", "128MiB", "1GiB"
# or as a number of bytes.

# Where clients connect. Under systemd socket activation, cpulbd.socket says this
# instead of the daemon.
socket {
  path  = "/run/cpulb/cpulb.sock"
  mode  = "0660"
  group = "" # a name; empty: the daemon's own group
}

# Tasks that wait for a worker, over all pools. When it is full, a new task is
# refused with 429 and the caller may try again.
queue {
  max_tasks = 100000
}

# How long results are kept for whoever asks for them, and how many; the oldest
# go first.
results {
  ttl = "1h"
  max = 100000
}

# A program that runs tasks. The command is a file name, which is looked for
# beside cpulbd, in ../libexec/cpulb and in PATH, or an absolute path.
executor "python" {
  command = "cpulb-python"
  # sha256 = "…"            # refuse to start any other program
  # venv    = "/srv/venv"       # a virtual environment of the embedded Python's version
  # preload = ["numpy"]         # modules that every worker loads at its start
  # env     = { TZ = "UTC" }    # added to the workers' otherwise scrubbed environment
}

# Like workers, each a process. A task that names no pool goes to the first one
# here that serves its task_type.
#
# CPU-bound tasks: one process for each core, pinned to it, one task at a time.
# Python's lock lets one thread of a process compute at a time, so more threads
# would only wait for each other.
pool "cpu" {
  executor   = "python"
  task_types = ["cpu_bound"]
  workers    = "auto" # one for each of the pool's cores, or a number
  threads    = 1
  # async_concurrency = 0 # tasks with an async main at once on one event loop, beside the threads
  pin        = true
  cores      = "auto" # all that the daemon may use, or a list such as "0-3,8"
}

# I/O-bound tasks: many threads of one process, which mostly wait. They share no
# process with CPU-bound ones, which would keep them from Python's lock.
pool "io" {
  executor   = "python"
  task_types = ["io_bound"]
  workers    = 1
  threads    = 32
  # async_concurrency = 1000 # serve async mains on one event loop; 0 gives each a thread
  pin        = false
  cores      = "auto"
}

limits {
  body_size     = "128MiB" # a request's body, or one line of the stream
  result_size   = "128MiB" # what a script returns, as JSON
  output_size   = "1MiB"   # what it prints, stdout and stderr each; the rest is dropped
  start_timeout = "30s"    # a worker's start, from exec to ready
  cancel_grace  = "2s"     # how long a task that is stopped has to end
  gil_stall     = "10s"    # for how long a worker's Python lock may be held until its stacks are logged; "0s": never
  drain_timeout = "30s"    # how long running tasks have when the daemon stops
}

# The log goes to stderr, which is the journal under systemd.
log {
  level  = "info" # trace, debug, info, warn, error
  format = "text" # text, json
}
