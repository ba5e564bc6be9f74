def inner(value):
    raise ValueError("bad value: %r" % value)


def main(params, context):
    inner(params)
