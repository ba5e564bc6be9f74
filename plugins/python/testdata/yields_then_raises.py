def main(params, context):
    yield 1
    raise RuntimeError("after the first")
