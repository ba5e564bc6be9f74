from parts import one
import parts.one as again


def main(params, context):
    return [one.WHERE, again.WHERE]
