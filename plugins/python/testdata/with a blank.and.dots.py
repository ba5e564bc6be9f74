import siblings_a


def main(params, context):
    return __name__.partition(".")[0].startswith("_cpulb_") and siblings_a.__name__.endswith(".siblings_a")
