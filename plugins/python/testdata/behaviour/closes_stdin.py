# {"pools": "exclusive shared", "times": 2, "want": {"data": "EOFError", "stdout": "name? "}}
"""A task that closes its stdin closes nobody else's."""

import sys


def main(params, context):
    try:
        return input("name? ")
    except EOFError as error:
        return type(error).__name__
    finally:
        sys.stdin.close()
