# Every key, none with its default value.
socket {
  path  = "/tmp/x.sock"
  mode  = "0600"
  group = "users"
}
queue {
  max_tasks          = 7
  max_bytes          = "8GiB"
  policy             = "drop_oldest"
  concurrency_limit  = 2
  concurrency_limits = { database = 4 }
}
results {
  ttl = "90s"
  max = 8
  max_bytes = 9
}

journal {
  sync     = "interval"
  interval = "250ms"
}
executor "py" {
  command = "/opt/py"
  sha256  = "abababababababababababababababababababababababababababababababab"
  env     = { A = "b", C = "" }
  canary     = "2.5%"
  canary_for = "90s"
  probe      = { script_path = "/srv/check.py", function = "run", params = [1], timeout = "3s" }
}
executor "other" {
  command = "other"
}
pool "all" {
  executor   = "py"
  task_types = ["io_bound", "cpu_bound"]
  workers    = 3
  threads    = 4
  pin        = false
  cores      = "0-1,3"
  policy = "power_of_two"
  reserve = 1
  spare = 2
  relief = 3
  window = "2ms"
  idle_timeout = "7s"
  min_workers = 2
  max_workers = 0
  max_tasks = 9
  max_age = "2h"
  max_rss = "3GiB"
  memory = "4GiB"
  nice = -5
  ionice = "best-effort:6"
  oom_score_adj = -7
  users = ["root"]
  groups = ["0"]
}
pool "least" {
  executor   = "other"
  task_types = ["cpu_bound"]
}
limits {
  body_size     = "1GiB"
  in_flight     = "4GiB"
  connections   = 5
  watches       = 6
  result_size   = "2MiB"
  event_size = 77
  output_size   = 12345
  start_timeout = "1s"
  cancel_grace  = "0s"
  fence_timeout = "5s"
  drain_timeout = "1h30m"
}
log {
  level  = "debug"
  format = "json"
}
tracing {
  endpoint = "https://collector:4318/otlp"
  protocol = "http/protobuf"
  sample   = "12.5%"
}

schedule "nightly" {
  cron            = "30 3 * * *"
  time_zone       = "UTC"
  overlap         = "queue"
  catch_up        = "all"
  owner           = "root"
  script_path     = "/srv/x.py"
  function        = "run"
  params          = { days = 1 }
  task_type       = "io_bound"
  pool            = "all"
  executor        = "py"
  priority        = 3
  timeout         = "1m"
  max_retries     = 2
  retry_backoff   = "1s"
  concurrency_key = "k"
  on_worker_lost  = "fail"
  durable         = false
  result_ttl      = "1h"
  labels          = { a = "b" }
}

access {
  users        = ["a"]
  groups       = ["b"]
  admin_users  = ["c"]
  admin_groups = ["d"]
  script_dirs  = ["/srv"]
  source       = true
}
