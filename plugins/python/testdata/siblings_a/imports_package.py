import package.inner
from package import VALUE


def main(params, context):
    return [VALUE, package.inner.VALUE]
