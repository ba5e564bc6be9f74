import os


def main(params):
    return dict(os.environ)
