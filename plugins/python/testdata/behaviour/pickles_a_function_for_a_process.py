# {"pools": "exclusive shared", "times": 2, "want": {"data": [[3, "of a sibling"], ["x", 3]]}}
"""Classes and functions of the script and of a sibling go to a process and back."""

import multiprocessing

import carried_beside


class Mine:
    def __init__(self, n):
        self.n = n


def through(things):
    return [type(things[0])("x"), things[1]]


def main(params, context):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        mine, theirs = pool.apply(through, [[Mine(1), carried_beside.Theirs("of a sibling")]])
        count = pool.apply(len, ["abc"])
    assert type(mine) is Mine and type(theirs) is carried_beside.Theirs
    return [[count, theirs.text], [mine.n, count]]
