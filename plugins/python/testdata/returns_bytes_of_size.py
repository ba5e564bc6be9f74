def main(params, context):
    return "x" * params
