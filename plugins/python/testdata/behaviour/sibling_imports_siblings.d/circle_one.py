import circle_two

NAME = "one"


def other():
    return circle_two.NAME
