"""Keeps the interpreter's lock until somebody writes into the FIFO that it is given."""

import ctypes
import os

libc, one = ctypes.PyDLL(None), ctypes.create_string_buffer(1)  # unlike CDLL, it does not let go of the lock


def main(params, context):
    if params:
        fd = os.open(params, os.O_RDWR)
        libc.read(fd, one, 1)
        os.close(fd)
