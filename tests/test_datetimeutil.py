import unittest
from datetime import date, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from crontabber.datetimeutil import UTC, timesince, utc_now

NOON = datetime(2024, 2, 29, 12, tzinfo=UTC)
DURATIONS = [
    # seconds, text, reason
    (0, "0 seconds", "nothing has passed"),
    (0.9, "0 seconds", "less than a second counts as zero"),
    (-5, "0 seconds", "the times are swapped"),
    (1, "1 second", "one is singular"),
    (59, "59 seconds", "only the smallest unit"),
    (300, "5 minutes", "a remainder of zero is omitted"),
    (3599.9, "59 minutes, 59 seconds", "rounded down"),
    (3600, "1 hour", "the next unit begins"),
    (3720, "1 hour, 2 minutes", "two units"),
    (3720 + 5, "1 hour, 2 minutes", "two units at most"),
    (3605, "1 hour", "only adjacent units"),
    (86400 + 3600, "1 day, 1 hour", "days"),
    (8 * 86400, "1 week, 1 day", "weeks"),
    (29 * 86400, "4 weeks, 1 day", "a day short of a month"),
    (37 * 86400, "1 month, 1 week", "months"),
    (365 * 86400, "1 year", "years"),
    ((2 * 365 + 60) * 86400, "2 years, 2 months", "several years"),
]


class TestTimesince(unittest.TestCase):
    def test_it_shows_the_two_largest_adjacent_units(self):
        for seconds, text, reason in DURATIONS:
            with self.subTest(reason):
                self.assertEqual(timesince(NOON, NOON + timedelta(seconds=seconds)), text)

    def test_a_date_counts_as_midnight_in_the_other_times_zone(self):
        east = NOON.replace(tzinfo=timezone(timedelta(hours=5)))
        cases = [
            (date(2024, 2, 28), NOON, "1 day, 12 hours"),
            (date(2024, 2, 28), east, "1 day, 12 hours"),
            (NOON, date(2024, 3, 1), "12 hours"),
            (date(2024, 2, 28), date(2024, 3, 1), "2 days"),
            (date(2024, 2, 28), datetime(2024, 2, 28, 1), "1 hour"),
        ]
        for earlier, later, text in cases:
            with self.subTest(earlier=earlier, later=later):
                self.assertEqual(timesince(earlier, later), text)

    @given(st.integers(min_value=1, max_value=10**10))
    def test_it_has_one_or_two_parts_and_neither_is_zero(self, seconds):
        parts = timesince(datetime(1, 1, 1), datetime(1, 1, 1) + timedelta(seconds=seconds)).split(", ")

        self.assertIn(len(parts), (1, 2))
        self.assertNotIn("0", [part.split()[0] for part in parts])


class TestUtcNow(unittest.TestCase):
    def test_it_is_the_current_time_in_utc(self):
        before = datetime.now(timezone.utc)

        now = utc_now()

        self.assertTrue(before <= now <= datetime.now(timezone.utc))
        self.assertEqual((now.tzname(), now.utcoffset()), ("UTC", timedelta(0)))
        self.assertEqual(UTC.tzname(None), "UTC")
