import threading


def main(params, context):
    context.progress(0.5, "half way")
    for level in ("debug", "info", "warning", "error"):
        getattr(context.log, level)("at %s", level)
    context.emit({"partial": 1})
    thread = threading.Thread(target=context.emit, args=("from a thread",))
    thread.start()
    thread.join()
    try:
        context.progress(2)
    except ValueError as error:
        return str(error)
