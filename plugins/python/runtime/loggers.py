"""logging's loggers, as the table of process-wide state reads and restores them.

A handler that a task adds to a logger would write each line of the next run twice.
"""

import sys

from cpulb.state import ABSENT, Entry

FRESH = (0, False, True, (), ())  # a logger that has just been made: level, disabled, propagate, handlers, filters


def settings(logger):
    return logger.level, logger.disabled, logger.propagate, tuple(logger.handlers), tuple(logger.filters)


def joined(value, before, after):
    """What was added to before is added to value, what was removed is removed."""
    return (*(item for item in value if item in after or item not in before),
            *(item for item in after if item not in before and item not in value))


class Loggers(Entry):
    """All loggers, by name; the root's is empty. Below what all of them are disabled is under None."""

    def __init__(self):
        super().__init__("loggers", self.get, self.put, "logging")

    @staticmethod
    def all():
        logging = sys.modules["logging"]
        named = logging.root.manager.loggerDict
        return {"": logging.root, **{name: found for name, found in tuple(named.items()) if isinstance(found, logging.Logger)}}

    def get(self):
        found = {name: settings(logger) for name, logger in self.all().items()}
        found[None] = sys.modules["logging"].root.manager.disable
        return found

    def differing(self, one, other):
        return [name for name in one.keys() | other.keys() if one.get(name, FRESH) != other.get(name, FRESH)]

    def same(self, one, other):
        return one is other or ABSENT not in (one, other) and not self.differing(one, other)

    def put(self, value):
        loggers = self.all()
        for name in self.differing(self.get(), value):
            if name is None:
                sys.modules["logging"].root.manager.disable = value[None]
            elif name in loggers:
                logger = loggers[name]
                level, logger.disabled, logger.propagate, logger.handlers[:], logger.filters[:] = value.get(name, FRESH)
                logger.setLevel(level)  # and forgets what it has worked out for others

    def merge(self, value, before, after):
        merged = dict(value)
        for name in self.differing(before, after):
            if name is None:
                merged[None] = after[None]
                continue
            now, was, then = value.get(name, FRESH), before.get(name, FRESH), after.get(name, FRESH)
            merged[name] = (*then[:3], joined(now[3], was[3], then[3]), joined(now[4], was[4], then[4]))
        return merged

    def watched(self, value, dicts, lists, getters):
        if value is ABSENT:
            return
        if sys.version_info >= (3, 13):  # whose objects change without a change of their dict's version
            getters.append((self.get, value))
            return
        logging = sys.modules["logging"]  # which is loaded, since it has a value
        dicts += [logging.root.manager.__dict__, logging.root.manager.loggerDict]
        for logger in self.all().values():
            dicts.append(logger.__dict__)
            lists += [(logger.handlers, tuple(logger.handlers)), (logger.filters, tuple(logger.filters))]
