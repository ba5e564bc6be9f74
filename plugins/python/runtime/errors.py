"""Failures of a task that are not its script's exceptions."""


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


class BadValue(TypeError):
    """A value that JSON can't hold; the message names where in it."""


class TooLarge(Exception):
    """What the task gave back passes limits.result_size."""
