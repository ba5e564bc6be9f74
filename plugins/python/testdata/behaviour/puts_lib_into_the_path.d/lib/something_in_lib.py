WHERE = "in lib"
