"""JSON of values that nest as deep as the daemon takes them: 1000. json counts each level against Python's
recursion limit, most of which the caller may have used."""

from __future__ import annotations

import json
import sys
import threading
from typing import Any, Callable, Tuple, TypeVar, Union

T = TypeVar("T")

_MORE = 3000
_raised = threading.RLock()  # a garbage collection may end a map meanwhile, whose cancelling reads JSON, too


def _encoder() -> Callable[[Any], str]:
    """Return json.dumps as it is wanted here. That one makes an encoder for each call, and looks for circles."""
    plain = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False)
    try:
        encoder: Any = json.encoder
        parts = encoder.c_make_encoder(None, plain.default, encoder.encode_basestring_ascii, None,
                                       plain.key_separator, plain.item_separator, False, False, False)
    except (AttributeError, TypeError):  # it is not documented, and not everywhere
        return plain.encode
    return lambda value: "".join(parts(value, 0))


_encode = _encoder()
_scan_once: Callable[[str, int], Tuple[Any, int]] = json.JSONDecoder().scan_once  # type: ignore[attr-defined]


def loads(text: Union[str, bytes, bytearray]) -> Any:
    """json.loads."""
    try:
        return json.loads(text)
    except RecursionError:
        return _deeper(json.loads, text)


def scan(text: str, start: int) -> Tuple[Any, int]:
    """Return the value that is in text from start on, and where it ends."""
    try:
        try:
            return _scan_once(text, start)
        except RecursionError:
            return _deeper(_scan_once, text, start)
    except StopIteration as end:
        raise ValueError(f"there is no value at {end.value}") from None


def dumps(value: Any) -> str:
    """json.dumps on one line, of what JSON can hold."""
    try:
        return _encode(value)
    except RecursionError:
        return _deeper(_careful, value)


def _careful(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _deeper(call: Callable[..., T], *arguments: Any) -> T:
    # The limit is the process's. It is higher for the time of the call, which harms nobody.
    with _raised:
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(limit + _MORE)
        try:
            return call(*arguments)
        finally:
            sys.setrecursionlimit(limit)
