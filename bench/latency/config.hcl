# One worker on the second core, so that the placement of all three processes is
# known.
executor "python" {
  command = "cpulb-python"
}

pool "cpu" {
  executor   = "python"
  task_types = ["cpu_bound"]
  workers    = 1
  threads    = 1
  pin        = true
  cores      = "1"
}

# What is measured is the way of a task, not the disk; bench/scale has that.
journal {
  sync = "off"
}
