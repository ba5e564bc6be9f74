"""Mailbox: results that have come in and have not been asked for yet."""

from collections import OrderedDict


class Mailbox:
    """Keeps at most limit results; the oldest go first, which loses nothing, for
    the daemon keeps them too. Not safe for concurrent use: its Stream's lock
    guards it."""

    def __init__(self, limit):
        self._limit = limit
        self._results = OrderedDict()

    def put(self, task_id, result):
        self._results[task_id] = result
        if len(self._results) > self._limit:
            self._results.popitem(last=False)

    def take(self, task_id):
        """Return the result and forget it, or None."""
        return self._results.pop(task_id, None)
