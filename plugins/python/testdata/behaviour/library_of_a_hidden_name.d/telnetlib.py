WHOSE = "my own"
