"""The progress of a backfill in lines; integration/test_progress.py tests the bar on a terminal."""

import unittest
from datetime import datetime, timedelta, timezone

from crontabber.datetimeutil import host_time
from crontabber.output.progress import backfill_progress

START = datetime(2026, 3, 1, tzinfo=timezone.utc)


class Lines(list):
    def info(self, message, *arguments):
        self.append(message % arguments)


def logged(total, seconds):
    """Return the lines about a backfill that completes its dates at these seconds."""
    clock = iter([0, *seconds])
    lines = Lines()
    with backfill_progress(lines, "foo", total, lambda: next(clock)) as advance:
        for number, _ in enumerate(seconds):
            advance(START + timedelta(days=number))
    return lines


class TestLines(unittest.TestCase):
    def test_there_is_one_per_minute(self):
        self.assertEqual(
            logged(100, range(2, 202, 2)),
            [
                f"foo: {host_time(START + timedelta(days=29))} done, 30 of 100 dates, 30.0 per minute, about 2 minutes, 20 seconds left",
                f"foo: {host_time(START + timedelta(days=59))} done, 60 of 100 dates, 30.0 per minute, about 1 minute, 20 seconds left",
                f"foo: {host_time(START + timedelta(days=89))} done, 90 of 100 dates, 30.0 per minute, about 20 seconds left",
            ],
        )

    def test_there_is_none_for_a_short_or_finished_backfill(self):
        cases = [
            (0, [100], "no backfill"),
            (1, [100], "a single date"),
            (30, range(30), "a backfill of less than a minute"),
            (2, [1, 100], "a backfill that ends with this date"),
            (2, [1, 2, 100], "more dates than expected"),
        ]
        for total, seconds, why in cases:
            with self.subTest(why):
                self.assertEqual(logged(total, seconds), [])
