# {"pools": "exclusive shared", "function": "__main__", "params": [], "times": 2, "want": {"stdout": "TestResults(failed=0, attempted=2)\n"}}
"""doctest.testmod() looks at __main__.

>>> triple(2)
6
"""

import doctest


def triple(n):
    """Three times n.

    >>> triple("a")
    'aaa'
    """
    return 3 * n


if __name__ == "__main__":
    print(doctest.testmod())
