path = "/mnt"


def where():
    return path
