import threading

begun = threading.Event()


def emit():
    for _ in range(200):
        context.emit(1)
        begun.set()


threading.Thread(target=emit).start()
begun.wait()
