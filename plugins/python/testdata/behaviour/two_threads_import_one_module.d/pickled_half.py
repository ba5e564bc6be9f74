import threading

threading.Event().wait(0.05)
print("loaded, too")


class Late:
    pass
