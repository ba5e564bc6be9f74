"""Failures of a task that are not its script's exceptions."""

import errno

# What the kernel refuses the runtime because the process, or the machine, has no more of
# it; EBADF is of a descriptor that a script has closed.
SCARCE = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EBADF))


def unseen(function):
    """Make a function's frames count as importlib's own, which warnings and tracebacks pass over."""
    function.__code__ = function.__code__.replace(co_filename="<frozen importlib._bootstrap>")
    return function


class Refusal(Exception):
    """The task can't be run: code is the stable name of the reason, kind the error's type."""

    def __init__(self, code, kind, message):
        super().__init__(message)
        self.code = code
        self.kind = kind


class ExitCode(Exception):
    """A plain script ended with another exit code than 0."""

    def __init__(self, code):
        super().__init__("the script ended with exit code %d" % code)
        self.code = code


class SameFailure(Exception):
    """A script could not be loaded for another task, which failed so at that moment."""

    def __init__(self, error):
        super().__init__(error)
        self.error = error


class BadValue(TypeError):
    """A value that JSON can't hold; the message names where in it."""


class TooLarge(Exception):
    """What the task gave back passes limits.result_size."""
