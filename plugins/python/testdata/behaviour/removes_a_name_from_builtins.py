# {"pools": "exclusive shared", "times": 2, "want": {"data": "hello"}}
"""What a script installs into builtins while it is loaded, it may remove; at the next run it is there again."""

import builtins

builtins.greet = lambda: "hello"


def main(params, context):
    try:
        return greet()  # noqa: F821
    finally:
        del builtins.greet
