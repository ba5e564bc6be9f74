import signal


def main(params, context):
    signal.signal(signal.SIGTERM, lambda *_: None)
