import subprocess
import sys
import threading


def main(params, context):
    name = params["name"]
    for i in range(params.get("lines", 3)):
        print(name, i)
    thread = threading.Thread(target=print, args=(name, "thread"))
    thread.start()
    thread.join()
    sys.stderr.write("error of %s\n" % name)
    sys.stdout.buffer.write(b"raw \xff\n")
    return name
