queue {
  max_tasks = 2000000
}
executor "python" {
  command = "cpulb-python"
}
pool "cpu" {
  executor   = "python"
  task_types = ["cpu_bound"]
  workers    = 2
}
