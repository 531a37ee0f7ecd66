"""At which instant is it HH:MM on a local date?"""

import unittest
from datetime import date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from crontabber.rules.local_time import exists, last_day, moment_on

UTC = timezone.utc
DAY = timedelta(days=1)
ZONES = (
    "America/Los_Angeles", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "Africa/Casablanca", "America/Nuuk",
    "Asia/Beirut", "Asia/Gaza", "America/Havana", "America/Asuncion", "Antarctica/Troll", "Pacific/Apia",
    "Pacific/Kwajalein", "Africa/Monrovia", "Asia/Kathmandu", "Europe/Dublin", "America/St_Johns",
)  # fmt: skip

zones = st.sampled_from(ZONES).map(ZoneInfo)
days = st.dates(date(1965, 1, 1), date(2060, 1, 1))
times = st.times().map(lambda moment: moment.replace(second=0, microsecond=0))


class TestMoment(unittest.TestCase):
    def test_a_skipped_time_moves_on_and_a_repeated_one_means_the_first(self):
        table = [
            ("Europe/Berlin", "2024-03-05", "21:00", "2024-03-05T20:00", "a plain day"),
            ("Europe/Berlin", "2024-03-31", "01:59", "2024-03-31T00:59", "the last minute before the gap"),
            ("Europe/Berlin", "2024-03-31", "02:00", "2024-03-31T01:00", "the gap: its end"),
            ("Europe/Berlin", "2024-03-31", "02:59", "2024-03-31T01:00", "the same"),
            ("Europe/Berlin", "2024-03-31", "03:00", "2024-03-31T01:00", "the first minute after the gap"),
            ("Europe/Berlin", "2024-10-27", "02:30", "2024-10-27T00:30", "the overlap: the first of the two"),
            ("Australia/Lord_Howe", "2024-10-06", "02:15", "2024-10-05T15:30", "a gap of half an hour"),
            ("Australia/Lord_Howe", "2024-04-07", "01:45", "2024-04-06T14:45", "an overlap of half an hour"),
            ("Africa/Casablanca", "2024-04-14", "02:30", "2024-04-14T02:00", "after Ramadan"),
            ("Asia/Beirut", "2024-03-31", "00:00", "2024-03-30T22:00", "midnight is skipped"),
            ("America/Nuuk", "2024-03-30", "23:30", "2024-03-31T01:00", "the gap ends at midnight"),
            ("Pacific/Apia", "2011-12-30", "12:00", "2011-12-30T10:00", "the whole date is skipped"),
            ("Africa/Monrovia", "1972-01-07", "00:10", "1972-01-07T00:44:30", "a gap of 44 minutes and 30 seconds"),
        ]
        for zone, day, at, expected, why in table:
            with self.subTest(why, zone=zone):
                moment = moment_on(date.fromisoformat(day), time.fromisoformat(at), ZoneInfo(zone))
                self.assertEqual(moment.isoformat(), datetime.fromisoformat(expected).replace(tzinfo=UTC).isoformat())

    @given(days, times, zones)
    @settings(deadline=None)
    def test_it_is_the_first_instant_at_or_after_that_wall_time(self, day, at, zone):
        wall = datetime.combine(day, at)

        moment = moment_on(day, at, zone)

        self.assertGreaterEqual(_shown(moment, zone), wall)
        # No clock has ever been put back by more than a day.
        for earlier in (1, 60, 1800, 3600, 7200, 36000, 86400):
            self.assertLess(_shown(moment - timedelta(seconds=earlier), zone), wall)

    @given(days, times, zones)
    @settings(deadline=None)
    def test_later_dates_come_later(self, day, at, zone):
        self.assertLessEqual(moment_on(day, at, zone), moment_on(day + DAY, at, zone))


class TestDates(unittest.TestCase):
    def test_a_skipped_date_does_not_exist(self):
        table = [
            ("Pacific/Apia", "2011-12-29", True),
            ("Pacific/Apia", "2011-12-30", False),
            ("Pacific/Apia", "2011-12-31", True),
            ("Pacific/Kwajalein", "1993-08-21", False),
            ("America/Nuuk", "2024-03-30", True),
            ("Asia/Beirut", "2024-03-31", True),
        ]
        for zone, day, expected in table:
            with self.subTest(zone, day=day):
                self.assertEqual(exists(date.fromisoformat(day), ZoneInfo(zone)), expected)

    def test_a_date_that_has_begun_stays_so_when_clocks_fall_back(self):
        # In St. John's the clocks went from 00:01 on 7 November 2010 back to 23:01 on the 6th.
        half_past_eleven_again = datetime(2010, 11, 7, 3, 0, tzinfo=UTC)

        self.assertEqual(last_day(half_past_eleven_again, time(0, 0), ZoneInfo("America/St_Johns")), date(2010, 11, 7))

    @given(st.datetimes(datetime(1965, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC)), times, zones)
    @settings(deadline=None)
    def test_the_last_day_is_the_latest_one_reached(self, moment, at, zone):
        day = last_day(moment, at, zone)

        self.assertLessEqual(moment_on(day, at, zone), moment)
        self.assertGreater(moment_on(day + DAY, at, zone), moment)


def _shown(moment, zone):
    return moment.astimezone(zone).replace(tzinfo=None)
