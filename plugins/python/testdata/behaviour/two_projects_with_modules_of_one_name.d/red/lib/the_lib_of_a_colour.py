NAME = "red too"
