# {"pools": "exclusive shared", "function": "main", "python": "no", "want": {"data": ["ENXIO", "EOFError"], "stderr_has": "word: "}}
"""There is no terminal to ask at: getpass reads stdin, which is empty."""

import errno
import getpass
import os
import warnings

warnings.simplefilter("ignore", getpass.GetPassWarning)


def main(params, context):
    try:
        found = os.open("/dev/tty", os.O_RDWR)
    except OSError as error:
        found = errno.errorcode[error.errno]
    try:
        return [found, getpass.getpass("word: ")]
    except EOFError as error:
        return [found, type(error).__name__]
