import circle_one

NAME = "two"


def other():
    return circle_one.NAME
