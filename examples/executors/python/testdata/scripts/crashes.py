import os
import signal

os.write(2, b"last words of a crash\n")
os.kill(os.getpid(), signal.SIGKILL)
