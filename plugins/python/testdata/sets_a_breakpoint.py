def main(params, context):
    breakpoint()
