def main(params):
    return len(params)
