"""Values in and out as JSON, straight by the C scanner and encoder of the json module.

Out goes what json.dumps takes, and what convert() has a rule for; the rules are in
docs/scripts.md. What JSON has no words for, NaN and the infinities first of all, is
an error that names where in the value it is. The text is UTF-8; only text that has
none (a lone surrogate) is escaped.
"""

import collections
import dataclasses
import datetime
import enum
import math
import sys
import types
from json.encoder import c_make_encoder, encode_basestring, encode_basestring_ascii

from _embedpy import deeper, plain_keys, quoted
from cpulb.errors import BadValue, Refusal
from cpulb.held import json, os

MAX_DEPTH = 1000  # of params and of what is returned; the daemon takes no deeper ones
LARGE = 4 << 10  # characters: from there on it pays to look at a string before it is copied
MAX_PATH_SHOWN = 100  # characters of the way to what is nested too deeply

# Types with a rule, and what becomes of their values. The first that fits counts.
RULES = (
    (enum.Enum, lambda value: value.value),
    ((datetime.datetime, datetime.date, datetime.time), lambda value: moment(value)),
    (os.PathLike, lambda value: os.fsdecode(os.fspath(value))),
    (types.MappingProxyType, dict),
    ((collections.deque, range), list),
)

# Types that people return by mistake, and what they may have meant.
HINTS = (
    ((bytes, bytearray, memoryview), "decode it, or use base64"),
    ((set, frozenset), "it has no order; use sorted() or list()"),
    (datetime.timedelta, "use total_seconds()"),
    (complex, "use real and imag"),
    (types.GeneratorType, "yield from it, or use list()"),
)


def moment(value):
    if value != value:
        raise TypeError("is %s, not a time, which JSON can't hold" % value)  # pandas has one
    return value.isoformat()


def convert(value):
    """Return what JSON can hold instead of value; a TypeError says that nothing can."""
    for kind, rule in RULES:
        if isinstance(value, kind):
            return rule(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    for module, name in (("decimal", "Decimal"), ("uuid", "UUID")):  # who has not loaded it has none
        if module in sys.modules and isinstance(value, getattr(sys.modules[module], name)):
            return str(value)
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, (numpy.generic, numpy.ndarray)):
        return from_numpy(numpy, value)
    for kind, hint in HINTS:
        if isinstance(value, kind):
            raise TypeError("is of type %s, which JSON can't hold: %s" % (type(value).__qualname__, hint))
    raise TypeError("is of type %s, which JSON can't hold" % type(value).__qualname__)


def from_numpy(numpy, value):
    """A scalar as Python's own, an array as nested lists; nothing loses precision."""
    kind = value.dtype.kind
    if isinstance(value, numpy.ma.MaskedArray) and numpy.ma.is_masked(value):
        raise TypeError("is a numpy masked array with items masked, which JSON can't hold: use filled() or tolist()")
    if kind == "M" and not numpy.isnat(value).any():
        return value.astype("U").tolist() if value.ndim else str(value)
    if kind in "biuU" or kind == "f" and value.dtype.itemsize <= 8 or kind == "O" and value.ndim:
        return value.tolist()
    raise TypeError("is a numpy %s of dtype %s, which JSON can't hold"
                    % ("array" if value.ndim else "scalar", value.dtype))


def make_encoder(escape=encode_basestring):
    """Return a function from a value to JSON text, for one thread.

    The encoder finds cycles by the identities of what it is inside of, so two
    threads that encode the same object at once must not share one.
    """
    markers = {}
    encode = c_make_encoder(markers, convert, escape, None, ":", ",", False, False, False)
    join = "".join

    def dumps(value):
        try:
            return join(encode(value, 0))
        except BaseException:
            markers.clear()
            raise

    return dumps


def to_json(value, dumps, deepest=MAX_DEPTH):
    """JSON text of value, as str when it is ASCII, or as UTF-8 bytes."""
    if type(value) is str and len(value) >= LARGE and value.isascii() and (text := quoted(value)) is not None:
        return text
    try:
        text = encoded(value, dumps)
        if not plain_keys(value, deepest):
            check(value, deepest)
    except (BadValue, MemoryError):
        raise
    except Exception as error:  # a rule may run code of the value's own
        raise BadValue(complaint(value, deepest) or str(error)) from None
    if text.isascii():
        return text
    try:
        return text.encode()
    except UnicodeEncodeError:
        return encoded(value, make_encoder(encode_basestring_ascii))


def encoded(value, dumps):
    """What dumps makes of value, which the recursion limit may be too low for: it counts each level of a value."""
    try:
        return dumps(value)
    except RecursionError:
        return encoded_flat(value, dumps)


def encoded_flat(value, dumps):
    """The same without recursion, piece by piece."""
    pieces, todo = [], [(value, 0)]
    while todo:
        item, depth = todo.pop()
        if depth is None:
            pieces.append(item)
        elif item is None or isinstance(item, (str, int, float)):
            pieces.append(dumps(item))
        elif not isinstance(item, (dict, list, tuple)):
            todo.append((convert(item), depth))
        elif depth == MAX_DEPTH:
            raise RecursionError("nested too deeply")
        elif isinstance(item, dict):
            pairs = [(dumps(key_text(key)) + ":", inner) for key, inner in item.items()]
            todo.extend(_around("{", pairs, "}", depth + 1))
        else:
            todo.extend(_around("[", [("", inner) for inner in item], "]", depth + 1))
    return "".join(pieces)


def _around(opening, pairs, closing, depth):
    """What encoded_flat has to do for a container, the last first: pieces of text have no depth."""
    todo = [(closing, None)]
    for i, (name, inner) in reversed(list(enumerate(pairs))):
        todo += (inner, depth), ("," + name if i else name, None)
    return todo + [(opening, None)]


def make_decoder():
    """Return a function from JSON text to a value."""
    scan = json.JSONDecoder().scan_once

    def loads(text):
        if len(text) >= LARGE and is_plain(text):
            return text[1:-1]
        try:
            try:
                value, end = scan(text, 0)
            except RecursionError:
                value, end = deeper(scan, text, 0)
            if end == len(text):
                return value
        except StopIteration:
            pass
        except (ValueError, RecursionError) as error:
            raise Refusal("bad_params", type(error).__name__, "params: %s" % error) from None
        try:
            return json.loads(text)  # with blanks around it, or with a proper error
        except (ValueError, RecursionError) as error:
            raise Refusal("bad_params", type(error).__name__, "params: %s" % error) from None

    return loads


def is_plain(text):
    """Whether text, which is known to be JSON, is one string with nothing escaped in it."""
    return text[0] == '"' and text.find('"', 1) == len(text) - 1 and "\\" not in text


def check(value, deepest):
    """Raise BadValue if value is nested deeper than that, or two keys of one dict would be written alike, as 1 and "1"."""
    for item, path in walk(value, deepest, into_arrays=False):
        if isinstance(item, dict):
            written = set()
            for key in item:
                name = key_text(key)
                if name in written:
                    raise BadValue("%s has two keys that JSON writes as %s" % (path, json.dumps(name)))
                written.add(name)


def key_text(key):
    """The key as the encoder writes it."""
    if isinstance(key, str):
        return key
    return json.dumps(key)


def complaint(value, deepest):
    """Say where value first stops being JSON, or None if that can't be told."""
    try:
        for _ in walk(value, deepest):
            pass
    except BadValue as error:
        return str(error)
    return None


def walk(value, deepest, into_arrays=True):
    """Yield everything in value with its path, in order; raise BadValue for what JSON can't hold.

    Arrays of plain numbers can be left out: they are large, and have no keys.
    """
    stack = [(value, "data", (), 0)]
    while stack:
        item, path, outer, depth = stack.pop()
        yield item, path
        if item is None or isinstance(item, (str, int)):
            continue
        if isinstance(item, float):
            if not math.isfinite(item):
                raise BadValue("%s is %r, which JSON can't hold" % (path, item))
            continue
        if any(item is other for other in outer):
            raise BadValue("%s contains itself" % path)
        if isinstance(item, (dict, list, tuple)):
            if depth == deepest:
                raise BadValue("data is nested deeper than %d, at %s" % (deepest, shortened(path)))
            stack.extend(reversed(_inner(item, path, outer + (item,), depth + 1)))
        elif into_arrays or getattr(getattr(item, "dtype", None), "kind", "O") == "O":
            if len(outer) > 2 * MAX_DEPTH:
                raise BadValue("data is converted without end, at %s" % shortened(path))
            stack.append((_converted(item, path), path, outer + (item,), depth))


def shortened(path):
    return path if len(path) <= MAX_PATH_SHOWN else path[:MAX_PATH_SHOWN] + "…"


def _converted(item, path):
    try:
        return convert(item)
    except Exception as error:
        raise BadValue("%s %s" % (path, error if isinstance(error, TypeError)
                                  else "can't be converted: %s: %s" % (type(error).__name__, error))) from None


def _inner(item, path, outer, depth):
    """What item holds, with paths."""
    if not isinstance(item, dict):
        return [(inner, "%s[%d]" % (path, i), outer, depth) for i, inner in enumerate(item)]
    pairs = []
    for key, inner in item.items():
        if not (key is None or isinstance(key, (str, int, float))):
            raise BadValue("%s has a key of type %s; JSON's keys are strings" % (path, type(key).__qualname__))
        if isinstance(key, float) and not math.isfinite(key):
            raise BadValue("%s has the key %r, which JSON can't hold" % (path, key))
        pairs.append((inner, "%s[%s]" % (path, json.dumps(key)), outer, depth))
    return pairs
