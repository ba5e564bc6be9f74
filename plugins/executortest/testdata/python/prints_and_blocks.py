import time


def main(params):
    print("begun", flush=True)
    while True:
        time.sleep(0.001)
