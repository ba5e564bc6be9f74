path = "/srv/files"
argv = ["--all"]
stdout = "the log"
environ = {"HOME": "no"}


def read():
    return path
