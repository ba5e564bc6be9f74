WHAT = "a neighbour"
