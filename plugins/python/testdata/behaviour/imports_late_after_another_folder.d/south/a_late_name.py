SIDE = "south"
