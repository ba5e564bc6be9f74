import time


def main(params, context):
    context.progress(0, "begun")
    while not context.cancelled:
        time.sleep(0.001)
    return "stopped by itself"
