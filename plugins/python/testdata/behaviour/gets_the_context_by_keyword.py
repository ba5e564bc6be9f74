# {"pools": "exclusive shared", "want": {"data": [1, true]}}
"""main may take its params and context in the usual ways of Python."""


def main(params=None, *rest):
    return [len(rest), params is None]
