# {"pools": "exclusive shared", "function": "__main__", "params": [], "want": {"stdout": "(3, 4) Size.LARGE length\n"}}
"""Classes, enums and functions of the script are pickled by their names in __main__."""

import enum
import pickle


class Place:
    def __init__(self, x, y):
        self.at = (x, y)


class Size(enum.Enum):
    SMALL, LARGE = 1, 2


def length(text):
    return len(text)


place, size, function = pickle.loads(pickle.dumps([Place(3, 4), Size.LARGE, length]))
print(place.at, size, function.__name__)
