import time


def main(params, context):
    if context.deadline is None:
        return [context.deadline, context.remaining()]
    deadline, real = context.deadline, time.time
    time.time = lambda: real() - 86400  # as if somebody had set it back by a day
    try:
        return [context.deadline == deadline, 3000 < context.remaining() <= 3600]
    finally:
        time.time = real
