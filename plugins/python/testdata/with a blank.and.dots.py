import siblings_a


def main(params, context):
    return siblings_a.__name__.endswith("siblings_a")
