import os


def main(params):
    os._exit(42)
