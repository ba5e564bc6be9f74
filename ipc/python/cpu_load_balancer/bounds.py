"""Bounds that a caller gives: looked at where they are given, as what is wrong with one would come up much later, or never."""

from __future__ import annotations

import operator
from numbers import Real
from threading import TIMEOUT_MAX  # 292 years
from typing import Any, Optional


def seconds(value: Any, name: str) -> Optional[float]:
    """Return the seconds that value is; None if it bounds nothing: None, infinity, and what Python can't wait for. TypeError for
    what is not a number, ValueError for one that is less than 0, or nan. name is the parameter's."""
    limit = number(value, name)
    if limit is not None and not limit >= 0:  # nan is not, either
        raise ValueError(f"{name} must be 0 or more seconds, or None for no bound, not {value!r:.100}")
    return limit


def number(value: Any, name: str) -> Optional[float]:
    """The same of any number, also one that is less than 0, or nan."""
    if value is None:
        return None
    if type(value) is not float and type(value) is not int and (not isinstance(value, Real) or isinstance(value, bool)):
        raise TypeError(f"{name} must be a number of seconds, or None for no bound, not {value!r:.100}")
    given: Any = value
    return None if given >= TIMEOUT_MAX else float(given)  # which fails of a very large whole number


def count(value: Any, name: str) -> int:
    """Return how many value is. TypeError for what is not a whole number, ValueError for one that is less than 1."""
    try:
        many = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        many = None
    if many is None:
        raise TypeError(f"{name} must be a whole number, not {value!r:.100}")
    if many < 1:
        raise ValueError(f"{name} must be at least 1, not {many}")
    return many
