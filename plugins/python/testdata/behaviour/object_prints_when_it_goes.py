# {"pools": "exclusive shared", "times": 2, "want": {"data": null, "stdout": "gone\nand gone\n"}}
"""A __del__ and a weakref.finalize print while the task runs that let the object go."""

import weakref


class Thing:
    def __del__(self):
        print("gone")


def main(params, context):
    thing = Thing()
    weakref.finalize(thing, print, "and gone").atexit = False
    del thing
