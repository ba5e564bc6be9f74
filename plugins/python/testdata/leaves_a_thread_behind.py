import threading

go_on = threading.Event()
late = []


def lingers():
    go_on.wait()
    print("from a thread that outlived its task")
    late.append(True)


def main(params, context):
    if params == "go on":
        go_on.set()
        while not late:
            pass
        return "went on"
    threading.Thread(target=lingers, daemon=True).start()
