"""Which date of a backfill job does somebody mean?"""

import unittest
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from crontabber.errors import NoSuchDateError
from crontabber.rules.backfill import date_after
from crontabber.rules.job import Job
from crontabber.rules.job_state import JobState
from crontabber.rules.named_dates import date_before, date_named, dates_between, shown
from crontabber.rules.schedule import parse_schedule

UTC = timezone.utc
BERLIN = ZoneInfo("Europe/Berlin")


def job(frequency, time=""):
    return Job("job", SimpleNamespace(_is_backfill_app=True), None, parse_schedule(frequency, time))


def berlin(text):
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


class TestDateNamed(unittest.TestCase):
    def test_a_day_a_minute_a_second_or_an_offset_name_a_date(self):
        nightly, hourly = job("1d", "03:00"), job("1h")
        table = [
            (nightly, "2026-11-20 03:00", "2026-11-22", "2026-11-22 03:00", "a day"),
            (nightly, "2026-11-20 03:00", "2026-11-18", "2026-11-18 03:00", "one that is done"),
            (nightly, "2026-11-20 03:00", "2026-11-18T03:00", "2026-11-18 03:00", "its time, too"),
            (nightly, "2026-11-20 03:00", "2026-11-18T02:00Z", "2026-11-18 03:00", "in another zone"),
            (job("7d", "03:00"), "2026-11-16 03:00", "2026-11-30", "2026-11-30 03:00", "a Monday of a weekly job"),
            (job("1d"), "2026-11-20 12:00:05.123", "2026-11-19", "2026-11-19 12:00:05.123", "a day without a time"),
            (hourly, "2026-11-20 12:00:05.123", "2026-11-19T07:00", "2026-11-19 07:00:05.123", "to the minute"),
            (hourly, "2026-11-20 12:00:05.123", "2026-11-19T07:00:05", "2026-11-19 07:00:05.123", "to the second"),
            (nightly, "2026-03-27 03:00", "2026-03-29", "2026-03-29 03:00", "on the day of a gap"),
        ]
        for timed, done, text, date, why in table:
            with self.subTest(why):
                row = JobState("job", last_success=berlin(done))
                self.assertEqual(date_named(text, timed, row, BERLIN), berlin(date))

    def test_one_that_is_no_date_of_the_job_is_answered_with_the_nearest(self):
        table = [
            (job("7d", "03:00"), "2026-11-16 03:00", "2026-11-20",
             "2026-11-20 is none of the dates of job: the nearest are 2026-11-16T03:00+01:00 and 2026-11-23T03:00+01:00"),
            (job("1d", "03:00"), "2026-11-16 03:00", "2026-11-20T06:00",
             "2026-11-20T06:00 is none of the dates of job: the nearest are 2026-11-20T03:00+01:00 and 2026-11-21T03:00+01:00"),
            (job("1h"), "2026-11-16 03:00", "2026-11-20", "job has 24 dates on 2026-11-20: name one of them, such as 2026-11-20T00:00+01:00"),
            (job("1h"), "2026-11-16 03:00", "yesterday", "'yesterday' is not a date: expected a date such as 2026-11-20 or 2026-11-20T06:00"),
            (job("1h"), None, "2026-11-20", "job has never run, so it has no dates yet"),
        ]  # fmt: skip
        for timed, done, text, said in table:
            with self.subTest(text), self.assertRaises(NoSuchDateError) as caught:
                date_named(text, timed, JobState("job", last_success=done and berlin(done)), BERLIN)
            self.assertEqual(str(caught.exception), said)

    def test_the_ends_of_the_calendar_have_no_dates(self):
        row = JobState("job", last_success=berlin("2026-11-16 03:00"))
        for text in ("0001-01-01", "0001-01-01T00:00+14:00", "9999-12-31", "9999-12-31T23:59-12:00"):
            for timed in (job("1d", "03:00"), job("1d"), job("7d", "23:59"), job("0 3 * * *")):
                with self.subTest(text, schedule=timed.schedule), self.assertRaises(NoSuchDateError):
                    date_named(text, timed, row, BERLIN)

    @given(
        st.sampled_from([job("1d", "03:00"), job("1d", "02:30"), job("3d", "00:00"), job("1d"), job("7h"), job("90m")]),
        st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1)), st.integers(-400, 400),
    )  # fmt: skip
    def test_whatever_is_shown_names_the_same_date(self, timed, done, steps):
        zone = BERLIN
        row = JobState("job", last_success=done.replace(tzinfo=UTC))
        date = row.last_success
        if timed.schedule.at:
            date = date_after(timed.schedule, date, zone)
        for _ in range(abs(steps) % 20):
            date = date_after(timed.schedule, date, zone) if steps > 0 else date_before(date, timed, zone)

        date = date.astimezone(UTC)
        self.assertEqual(date_named(shown(date, zone), timed, row, zone), date)
        self.assertEqual(date_before(date_after(timed.schedule, date, zone), timed, zone), date)
        following = dates_between(date, date + timedelta(days=8), timed, zone)
        self.assertEqual(following[0].astimezone(UTC), date)
