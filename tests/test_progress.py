"""How far a backfill is, told in lines; the bar is tested on a terminal, in integration/test_progress.py."""

import unittest
from datetime import datetime, timedelta, timezone

from crontabber.output.progress import backfill_progress

START = datetime(2026, 3, 1, tzinfo=timezone.utc)


class Lines(list):
    def info(self, message, *arguments):
        self.append(message % arguments)


def told(total, seconds):
    """The lines about a backfill whose dates are done at these seconds."""
    clock = iter([0, *seconds])
    lines = Lines()
    with backfill_progress(lines, "foo", total, lambda: next(clock)) as advance:
        for number, _ in enumerate(seconds):
            advance(START + timedelta(days=number))
    return lines


class TestLines(unittest.TestCase):
    def test_there_is_one_a_minute(self):
        self.assertEqual(
            told(100, range(2, 202, 2)),
            [
                "foo: 2026-03-30 00:00 done, 30 of 100 dates, 30.0 per minute, about 2 minutes, 20 seconds left",
                "foo: 2026-04-29 00:00 done, 60 of 100 dates, 30.0 per minute, about 1 minute, 20 seconds left",
                "foo: 2026-05-29 00:00 done, 90 of 100 dates, 30.0 per minute, about 20 seconds left",
            ],
        )

    def test_there_is_no_progress_without_dates(self):
        cases = [
            (0, [100], "no backfill"),
            (1, [100], "a single date"),
            (30, range(30), "a backfill of less than a minute"),
            (2, [1, 100], "one that ends with this date"),
            (2, [1, 2, 100], "more dates than were counted"),
        ]
        for total, seconds, why in cases:
            with self.subTest(why):
                self.assertEqual(told(total, seconds), [])
