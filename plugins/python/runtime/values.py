"""JSON in and out, straight by the C scanner and encoder of the json module.

Out goes what json.dumps takes, but NaN and the infinities, which JSON has no
words for. The text is UTF-8; only text that has none (a lone surrogate) is
escaped.
"""

import json
import math
from json.encoder import c_make_encoder, encode_basestring, encode_basestring_ascii

from cpulb.errors import BadValue, Refusal

MAX_DEPTH_SHOWN = 32


def _refuse(value):
    raise TypeError(type(value).__name__)


def make_encoder(escape=encode_basestring):
    """Return a function from a value to JSON text, for one thread.

    The encoder finds cycles by the identities of what it is inside of, so two
    threads that encode the same object at once must not share one.
    """
    markers = {}
    encode = c_make_encoder(markers, _refuse, escape, None, ": ", ", ", False, False, False)
    join = "".join

    def dumps(value):
        try:
            return join(encode(value, 0))
        except BaseException:
            markers.clear()
            raise

    return dumps


def to_json(value, dumps):
    """JSON text of value, as str when it is ASCII and as UTF-8 bytes otherwise."""
    try:
        text = dumps(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise BadValue(complaint(value) or str(error)) from None
    if text.isascii():
        return text
    try:
        return text.encode()
    except UnicodeEncodeError:
        return make_encoder(encode_basestring_ascii)(value)


def make_decoder():
    """Return a function from JSON text to a value."""
    scan = json.JSONDecoder().scan_once

    def loads(text):
        try:
            value, end = scan(text, 0)
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


def complaint(value):
    """Say where value first stops being JSON, or None if that can't be told."""
    stack = [(value, "data", ())]
    while stack:
        item, path, outer = stack.pop()
        if item is None or isinstance(item, (str, int)):
            continue
        if isinstance(item, float):
            if not math.isfinite(item):
                return "%s is %r, which JSON can't hold" % (path, item)
            continue
        if not isinstance(item, (dict, list, tuple)):
            return "%s is of type %s, which JSON can't hold" % (path, type(item).__qualname__)
        if id(item) in outer:
            return "%s contains itself" % path
        if len(outer) >= 10000:
            return "data is nested too deeply"
        bad = _inner(item, path, outer + (id(item),) if len(outer) < MAX_DEPTH_SHOWN else outer, stack)
        if bad:
            return bad
    return None


def _inner(item, path, outer, stack):
    """Push what item holds, so that the first of it is looked at first."""
    pairs = []
    if isinstance(item, dict):
        for key, inner in item.items():
            if not (key is None or isinstance(key, (str, int, float))):
                return "%s has a key of type %s; JSON's keys are strings" % (path, type(key).__qualname__)
            if isinstance(key, float) and not math.isfinite(key):
                return "%s has the key %r, which JSON can't hold" % (path, key)
            pairs.append((inner, "%s[%s]" % (path, json.dumps(key)), outer))
    else:
        pairs = [(inner, "%s[%d]" % (path, i), outer) for i, inner in enumerate(item)]
    stack.extend(reversed(pairs))
    return None
