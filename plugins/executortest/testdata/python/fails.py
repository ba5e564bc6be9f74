def main(params):
    raise ValueError("as asked")
