NAME = "blue too"
