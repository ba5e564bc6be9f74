import pickle
from dataclasses import dataclass


@dataclass
class Point:
    x: int


def main(params, context):
    return pickle.loads(pickle.dumps(Point(params))).x
