def main(params, context):
    return 1 +
