import ctypes


def main(params):
    ctypes.string_at(0)
