print("x" * 1_000_000)
params
