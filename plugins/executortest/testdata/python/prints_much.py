def main(params, context):
    print("x" * 1_000_000)
    return params
