import sys


def main(params, context):
    print("before")
    sys.exit(3)
