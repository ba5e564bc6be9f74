import broken


def main(params, context):
    return 1
