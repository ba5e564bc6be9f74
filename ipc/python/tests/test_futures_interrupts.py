"""Interrupts at every moment at which a program's thread does the Executor's work."""

import sys
import unittest
from unittest import mock

from played import Played
from test_interrupts import interrupted


@unittest.skipIf(sys.version_info >= (3, 13), "this Python does not trace single instructions of a frame that is entered")
class AtEveryMoment(Played):
    def at_every_moment(self, act):
        """Have act interrupted once at each of its moments, each time with a new carrier that has had two calls."""
        moment = came = 1
        while came:
            self.numbers = 0
            self.keep()
            self.submit(1)
            self.keeper._look()
            self.arrive()
            call, _ = self.submit(2)
            self.run_calls(self.taken())
            carrier = self.carrier()
            came = interrupted(lambda: act(carrier, call), {moment})
            yield moment, carrier
            moment += 1
        self.assertGreater(moment, 5)

    def test_who_is_interrupted_while_it_gives_calls_gives_the_turn_to_others(self):
        def feed(carrier, _):
            carrier.resting = False
            self.pool.feed(carrier)
        for moment, carrier in self.at_every_moment(feed):
            self.assertEqual(carrier.feeding, 0, f"at moment {moment}")

    def test_who_is_interrupted_while_it_waits_leaves_the_reading_to_others(self):
        def lead(carrier, call):
            with mock.patch.object(type(call), "sleep_or_read", return_value=False):
                carrier.lead(call)
        for moment, carrier in self.at_every_moment(lead):
            self.assertFalse(carrier.reading.locked(), f"at moment {moment}")


if __name__ == "__main__":
    unittest.main()
