import gc
import os
import sys


def main(params, context):
    return [sys.argv, os.environ.get("LEFT_BEHIND"), gc.isenabled()]
