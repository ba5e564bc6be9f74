WHERE = "left"
