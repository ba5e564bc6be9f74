from .. import TITLE


def top():
    return TITLE


def late():
    from .box import WHERE
    return WHERE
