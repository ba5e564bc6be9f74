import os
import time


def main(params, context):
    while not os.path.exists(params):
        time.sleep(0.001)
    return params
