WHERE = "right"
