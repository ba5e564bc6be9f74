# Every key, none with its default value.
socket {
  path  = "/tmp/x.sock"
  mode  = "0600"
  group = "users"
}
queue {
  max_tasks = 7
}
results {
  ttl = "90s"
  max = 8
}
executor "py" {
  command = "/opt/py"
  sha256  = "abababababababababababababababababababababababababababababababab"
  env     = { A = "b", C = "" }
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
}
pool "least" {
  executor   = "other"
  task_types = ["cpu_bound"]
}
limits {
  body_size     = "1GiB"
  result_size   = "2MiB"
  output_size   = 12345
  start_timeout = "1s"
  cancel_grace  = "0s"
  drain_timeout = "1h30m"
}
log {
  level  = "debug"
  format = "json"
}
