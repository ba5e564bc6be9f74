print("sibling loaded")
n = 0
