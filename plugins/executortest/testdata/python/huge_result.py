def main(params):
    return "x" * (4 << 20)
