"""Why a result could not be stored on top of what the run has read or stored."""

import unittest
from datetime import datetime, timedelta, timezone

from crontabber.store.chain import Chain

FIRST = datetime(2026, 11, 1, tzinfo=timezone.utc)
SECOND, THIRD = FIRST + timedelta(days=1), FIRST + timedelta(days=2)


class TestChain(unittest.TestCase):
    def test_the_row_shows_why_nothing_could_be_stored(self):
        forgotten, changed = "the state database has forgotten the dates", "last_success of 'job' was changed"
        taken_over, vanished = "'job' was taken over by another process", "'job' was reset while it ran here, or"
        for read, stored, last_success, is_ours, said in (
            (FIRST, THIRD, SECOND, True, forgotten),
            (FIRST, THIRD, SECOND, False, forgotten),
            (FIRST, THIRD, None, None, forgotten),
            (SECOND, None, FIRST, True, forgotten),
            # Whoever runs it now knows the older row, too, and goes on from there.
            (SECOND, None, FIRST, False, taken_over),
            (SECOND, None, None, None, vanished),
            (FIRST, SECOND, THIRD, True, changed),
            (FIRST, SECOND, THIRD, False, taken_over),
            (None, None, None, False, taken_over),
        ):  # fmt: skip
            with self.subTest(read=read, stored=stored, last_success=last_success, is_ours=is_ours):
                chain = Chain()
                chain.start("job", read)
                if stored:
                    chain.add("job", stored)

                self.assertIn(said, str(chain.why_refused("job", last_success, is_ours)))
