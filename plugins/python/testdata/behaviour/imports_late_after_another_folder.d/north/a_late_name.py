SIDE = "north"
