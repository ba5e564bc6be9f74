# {"pools": "exclusive shared", "times": 2, "want": {"data": [1, [2], {"n": 3}], "stdout": "tidy\n"}}
"""A generator's values are the result, and its end is reached."""


def main(params, context):
    try:
        yield 1
        yield [2]
        yield {"n": 3}
    finally:
        print("tidy")
