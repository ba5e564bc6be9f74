WHERE = "in a thread"
