import time


def main(params):
    while True:
        time.sleep(0.001)
