import os


def main(params, context):
    return os.getcwd()
