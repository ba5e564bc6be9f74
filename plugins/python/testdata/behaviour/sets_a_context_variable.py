# {"pools": "exclusive shared loop", "python": "no", "times": 2, "want": {"data": "nobody"}}
"""A context variable that a task sets is not set for the next one."""

import contextvars

who = contextvars.ContextVar("who", default="nobody")


def main(params, context):
    found = who.get()
    who.set("somebody")
    return found
