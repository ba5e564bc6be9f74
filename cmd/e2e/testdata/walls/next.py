"""Any task."""


def main(params):
    return 1
