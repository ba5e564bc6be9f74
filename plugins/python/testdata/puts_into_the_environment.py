import os


def main(params, context):
    os.putenv("CPULB_TEST", "1")
