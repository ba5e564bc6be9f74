def main(params):
    print("\udcff")
    return 1
