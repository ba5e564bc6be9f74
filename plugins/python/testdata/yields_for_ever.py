def main(params, context):
    while True:
        yield "x" * 1000
