"""What is done about a state that a tick with a clock that was ahead has left behind."""

import unittest
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from zoneinfo import ZoneInfo

from crontabber.rules.job import Job
from crontabber.rules.job_state import JobState
from crontabber.rules.policy import DEFAULT
from crontabber.rules.schedule import parse_schedule
from crontabber.rules.wrong_clock import corrected, last_date_by, ran_in_the_future

UTC = timezone.utc
BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2024, 3, 5, 11, 0, 20, tzinfo=UTC)  # a Tuesday, noon in Berlin
LATER = datetime(2025, 3, 5, 10, 55, 3, tzinfo=UTC)


def job(frequency, time_="", backfill=False):
    return Job("job", SimpleNamespace(_is_backfill_app=backfill), None, parse_schedule(frequency, time_))


def berlin(text):
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(UTC)


class TestRanInTheFuture(unittest.TestCase):
    def test_it_is_the_last_run_or_success_that_tells_but_not_by_a_minute(self):
        second, minute = timedelta(seconds=1), timedelta(minutes=1)
        table = [
            (JobState("job"), False, "never ran"),
            (JobState("job", last_run=NOW, last_success=NOW, next_run=LATER), False, "postponed by hand"),
            (JobState("job", last_run=NOW + minute, last_success=NOW + minute), False, "the clocks of two hosts"),
            (JobState("job", last_run=NOW + minute + second), True, "its last run"),
            (JobState("job", last_run=NOW, last_success=LATER), True, "its last success"),
        ]
        for state, expected, why in table:
            with self.subTest(why):
                self.assertEqual(bool(ran_in_the_future([job("1h")], {"job": state}, NOW)), expected)


class TestCorrection(unittest.TestCase):
    def corrected(self, job, next_run, **columns):
        state = JobState("job", next_run=next_run, **{"last_run": LATER} | columns)
        planned = corrected(job, state, NOW, BERLIN)
        return planned and planned.next_run

    def test_the_next_run_is_planned_as_if_the_last_had_been_now(self):
        table = [
            (job("5m"), LATER + 5 * timedelta(minutes=1), berlin("2024-03-05 12:05"), "without a time: one interval from now"),
            (job("30d"), LATER + 30 * timedelta(days=1), berlin("2024-04-04 13:00"), "however long"),
            (job("1d", "21:00"), berlin("2025-03-05 21:00"), berlin("2024-03-05 21:00"), "with a time: the next slot"),
            (job("1d", "03:00"), berlin("2025-03-06 03:00"), berlin("2024-03-06 03:00"), "tomorrow's, if today's has passed"),
            (job("7d", "03:00"), berlin("2025-03-10 03:00"), berlin("2024-03-11 03:00"), "a Monday stays a Monday"),
        ]  # fmt: skip
        for timed, next_run, expected, why in table:
            with self.subTest(why):
                self.assertEqual(self.corrected(timed, next_run, last_success=LATER), expected)

    def test_a_failure_is_retried_after_the_retry_time(self):
        for backfill in (False, True):
            with self.subTest(backfill=backfill):
                next_run = self.corrected(job("1d", backfill=backfill), LATER + DEFAULT.error_retry_time, error_count=1)
                self.assertEqual(next_run, berlin("2024-03-05 12:05"))

    def test_a_backfill_job_goes_on_with_its_next_date(self):
        yesterday = berlin("2024-03-04 03:00")

        next_run = self.corrected(job("1d", "03:00", backfill=True), berlin("2025-03-06 03:00"), last_success=yesterday)

        self.assertEqual(next_run, berlin("2024-03-05 03:00"))

    def test_a_plan_that_is_right_stays(self):
        table = [
            (job("1h"), NOW + timedelta(minutes=30), {}, "corrected by an earlier tick"),
            (job("1d", "21:00"), berlin("2024-03-05 21:00"), {}, "the same with a time"),
            (job("1h"), LATER, {"ongoing": LATER}, "it is running"),
            (job("1h"), None, {}, "it is not planned"),
            (job("1d", "03:00", backfill=True), berlin("2025-03-06 03:00"), {"last_success": berlin("2025-03-05 03:00")}, "it follows the cursor"),
        ]  # fmt: skip
        for timed, next_run, columns, why in table:
            with self.subTest(why):
                self.assertIsNone(self.corrected(timed, next_run, **columns))


class TestCursor(unittest.TestCase):
    def test_the_cure_is_the_newest_date_that_has_come(self):
        table = [
            ("1d", "21:00", "2025-03-05 21:00", "2024-03-04 21:00", "yesterday's: today's is still to come"),
            ("1d", "03:00", "2025-03-05 03:00", "2024-03-05 03:00", "today's"),
            ("7d", "03:00", "2025-03-03 03:00", "2024-03-04 03:00", "a Monday stays a Monday"),
            ("1h", "", "2025-03-05 11:30", "2024-03-05 11:30", "by whole intervals"),
            ("1h", "", "2024-03-05 13:00:20", "2024-03-05 12:00:20", "up to and including now"),
        ]
        for frequency, time_, cursor, expected, why in table:
            with self.subTest(why):
                state = JobState("job", last_success=berlin(cursor))
                self.assertEqual(last_date_by(job(frequency, time_, True), state, NOW, BERLIN), berlin(expected))
