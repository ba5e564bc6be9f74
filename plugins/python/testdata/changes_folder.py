import os


def main(params, context):
    before = os.getcwd()
    if params:
        os.chdir(params)
    return [before, os.getcwd()]
