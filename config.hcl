# Configuration of cpulbd. What is written here is the built-in default: a key
# that is left out keeps it, and the daemon runs the same without any file.
# docs/configuration.md describes every key; `cpulbd -check-config -config FILE`
# reports what is wrong with a file, without starting anything.
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

# Tasks that wait for a worker, over all pools. When it is full, or one caller has
# its share of it, a new task is refused with 429 and the caller may try again.
queue {
  max_tasks          = 100000
  max_bytes          = "1GiB"   # of all that they have together, until they have ended
  policy             = "reject" # or "block", which keeps the caller waiting, or "drop_oldest"
  concurrency_limit  = 1        # how many of a caller's tasks with one concurrency_key run at a time
  concurrency_limits = {}       # the same for single keys: { database = 4 }
}

# How long results are kept for whoever asks for them, and how many; the oldest
# go first.
results {
  ttl       = "1h"
  max       = 100000
  max_bytes = "1GiB" # of all that is kept together
}

# What outlives the daemon. With "group" a task is on disk before it is
# acknowledged, and a result before it is shown; whoever waits meanwhile shares one
# fdatasync. With "interval" both are written before that, and synced within the
# interval: a crash of the daemon loses nothing. "off" keeps nothing.
journal {
  sync     = "group"
  interval = "1s" # for "interval": how much a power cut may lose
}

# A program that runs tasks. The command is a file name, which is looked for
# in the folder of cpulbd, in ../libexec/cpulb and in PATH, or an absolute path.
executor "python" {
  command = "cpulb-python"
  # sha256 = "…"            # refuse to start any other program
  # canary     = "10%"        # another program gets this share of the tasks at first, when a reload or a swap brings one
  # canary_for = "1m"         # for so long, and then all unless it is worse
  # probe      = { script_path = "/srv/check.py", params = 1 } # and it must complete this before
  # venv    = "/srv/venv"       # a virtual environment of the embedded Python's version
  # preload = ["numpy"]         # modules that every worker loads at its start
  # env     = { TZ = "UTC" }    # added to the workers' otherwise scrubbed environment
  # settings = {}               # the executor's own, which it says itself: cpulb executors --json
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
  policy     = "least_loaded" # or "round_robin", "power_of_two": among the workers with a free slot
  # users    = ["www-data"] # who may submit here; none and no groups: all who may submit
  # groups   = []
  # isolation = "thread"   # or "process": a process of its own for each task; then memory and max_tasks are of that
  # cpu_time  = "10m"      # and this is how much of it each process of a task may take; "0s": no bound
  # private_tmp  = false   # with isolation = "process": each task has a /tmp of its own, of 256MiB, which goes with it,
  # network      = true    # false: and no network,
  # read_only    = false   # and may write to no file elsewhere,
  # system_calls = ""      # "scripts": and none of the system calls that scripts have no use for
  # user      = "nobody"   # whom the workers run as, or "caller": each task as who has submitted it; empty: -worker-user, else the daemon's own
  # group     = ""         # empty: the user's own
  cores      = "auto" # all that the daemon may use, or a list such as "0-3,8"
  # spare         = 1        # workers that stand by for one that dies
  # relief        = 2        # workers beyond these for callers that would wait behind another's long tasks; 0: none
  # window        = "1ms"    # how much work of short tasks a slot may hold beside the one that runs; "0s": none
  # reserve       = 1        # cores, of these, that are left to the daemon
  # max_tasks     = 10000    # exchange a worker for a new one after so many tasks,
  # max_age       = "24h"    # … this time,
  # max_rss       = "1GiB"   # … or at this size, without anyone noticing
  # memory        = "2GiB"   # the most that a worker may have
  # nice          = 5        # and its priorities
  # ionice        = "idle"
  # oom_score_adj = 500
}

# I/O-bound tasks: many threads of one process, which mostly wait. They share no
# process with CPU-bound ones, which would keep them from Python's lock.
pool "io" {
  executor   = "python"
  task_types = ["io_bound"]
  workers    = 1
  # max_workers  = 4      # instead of workers: up to so many while tasks wait,
  # min_workers  = 1      # down to so many …
  # idle_timeout = "1m"   # … when fewer have sufficed for so long
  threads    = 32
  # async_concurrency = 1000 # serve async mains on one event loop; 0 gives each a thread
  pin        = false
  cores      = "auto"
}

limits {
  body_size     = "128MiB" # a request's body, or one line of the stream
  in_flight     = "512MiB" # of all that is held for clients and is neither queued nor a result: bodies, answers
  connections   = 4096     # at a time, streams included, for all users together; one more is refused with 503
  watches       = 200000   # tasks that are waited for at a time, on streams and in requests, for all users together
  result_size   = "128MiB" # what a script returns, as JSON
  output_size   = "1MiB"   # what it prints, stdout and stderr each; the rest is dropped
  event_size    = "1MiB"   # what is kept of its progress and log events, and again of what it has printed so far
  start_timeout = "30s"    # a worker's start, from exec to ready
  cancel_grace  = "2s"     # how long a task that is stopped has to end
  fence_timeout = "30s"    # how long the neighbours of one that does not stop have, until they run again elsewhere
  gil_stall     = "10s"    # for how long a worker's Python lock may be held until its stacks are logged; a silent one is replaced; "0s": never
  drain_timeout = "30s"    # how long running tasks have when the daemon stops
}

# A task that recurs. Its other keys are those of a task.
#
# schedule "nightly" {
#   cron            = "30 3 * * *" # minute, hour, day of month, month, day of week
#   time_zone       = "Europe/Istanbul"
#   overlap         = "skip" # or "queue": when the task before has not ended
#   catch_up        = "last" # or "none", "all": times missed while the daemon was down
#   owner           = "www-data"
#   script_path     = "/srv/scripts/report.py"
#   function        = "main"
#   params          = { days = 1 }
#   task_type       = "io_bound"
#   pool            = "io"
#   executor        = "python"
#   priority        = 3
#   timeout         = "10m"
#   max_retries     = 2
#   retry_backoff   = "30s"
#   concurrency_key = "database"
#   on_worker_lost  = "fail"
#   durable         = true
#   result_ttl      = "24h"
#   labels          = { team = "billing" }
# }

# Who may do what. Whoever can connect may submit unless users or groups are named;
# everybody sees and cancels their own tasks alone. Root may do everything.
access {
  users        = []
  groups       = []
  admin_users  = []
  admin_groups = []
  script_dirs  = []    # folders beneath which scripts have to be; none: anywhere
  source       = false # whether a task may bring its script's text
}

# The log goes to stderr, which is the journal under systemd.
log {
  level  = "info" # trace, debug, info, warn, error
  format = "text" # text, json
}

# Where the spans of each task go, by OpenTelemetry; nowhere without an endpoint.
tracing {
  endpoint = ""     # a collector's URL, "http://127.0.0.1:4317"
  protocol = "grpc" # or "http/protobuf", which mostly has port 4318
  sample   = "100%" # of the traces that begin here; of others their caller decides
}
