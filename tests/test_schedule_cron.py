"""Jobs with a cron expression: when they are due first and next, which dates they run, and which are ahead."""

import unittest
from datetime import datetime, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

from crontabber.errors import NoSuchDateError, TimeDefinitionError
from crontabber.rules.backfill import (
    OutstandingDates,
    backfill_dates,
    count_backfill_dates,
    dates_to_skip,
    outstanding_dates,
)
from crontabber.rules.job import Job
from crontabber.rules.job_state import JobState
from crontabber.rules.local_time import UTC
from crontabber.rules.named_dates import date_before, date_named
from crontabber.rules.policy import policy_of
from crontabber.rules.schedule import first_slot, is_due, is_unseen, next_run_after_success, parse_schedule
from crontabber.rules.upcoming import upcoming
from crontabber.rules.wrong_clock import corrected, last_date_by
from tests.schedule_simulation import SimulatedBackfillJob, SimulatedJob

BERLIN = ZoneInfo("Europe/Berlin")
MONDAYS, DAILY, HOURLY = "0 8 * * MON", "0 3 * * *", "0 * * * *"


def at(wall):
    return datetime.fromisoformat(wall).replace(tzinfo=BERLIN)


def utc(*walls):
    return [at(wall).astimezone(UTC) for wall in walls]


def a_job(frequency, time="", backfill=False, **policy):
    job_class = SimpleNamespace(_is_backfill_app=backfill)
    return Job("job", job_class, None, parse_schedule(frequency, time), policy=policy_of(policy))


class TestSchedule(unittest.TestCase):
    def test_names_mean_expressions(self):
        self.assertEqual(parse_schedule("@daily", ""), parse_schedule("0 0 * * *", None))

    def test_it_does_not_go_with_a_time_of_day(self):
        with self.assertRaises(TimeDefinitionError) as caught:
            parse_schedule(DAILY, "03:00")
        self.assertEqual(str(caught.exception), "0 3 * * * at 03:00: a cron expression has a time of its own")


class TestFirstRun(unittest.TestCase):
    # Each line: noted so far, now, the slot that is noted then, reason.
    def test_it_notes_the_next_slot(self):
        table = [
            (None, "2024-03-05 12:00", "2024-03-11 08:00", "seen on a Tuesday"),
            (None, "2024-03-04 08:00:42", "2024-03-04 08:00", "seen in the very minute of a slot"),
            (None, "2024-03-04 08:01", "2024-03-11 08:00", "a minute later"),
            ("2024-03-11 08:00", "2024-03-12 12:00", "2024-03-11 08:00", "it has come, and no start since"),
            ("2024-03-11 09:00", "2024-03-10 12:00", "2024-03-11 08:00", "it is not a slot: the expression has changed"),
            ("2025-03-10 08:00", "2024-03-10 12:00", "2024-03-11 08:00", "noted by a clock that was a year ahead"),
        ]
        for noted, now, expected, why in table:
            with self.subTest(why):
                slot = first_slot(parse_schedule(MONDAYS, ""), noted and at(noted), at(now), BERLIN)
                self.assertEqual(slot, at(expected))

    def test_it_waits_for_the_noted_slot_however_late(self):
        schedule, noted = parse_schedule(DAILY, ""), JobState("job", first_slot=at("2024-03-05 03:00"))

        for now, due in (("2024-03-05 02:59", False), ("2024-03-05 03:00", True), ("2024-03-09 12:00", True)):
            with self.subTest(now):
                self.assertIs(is_due(schedule, noted, at(now), BERLIN), due)
        self.assertTrue(is_unseen(schedule, noted))

    def test_without_a_note_it_needs_a_start_on_the_day_of_a_slot(self):
        for expression, now, due in [
            (MONDAYS, "2024-03-04 07:59", False), (MONDAYS, "2024-03-04 23:59", True), (MONDAYS, "2024-03-05 00:00", False),
            ("58 23 * * *", "2024-03-05 00:05", True), ("58 23 * * *", "2024-03-05 00:15", False),
        ]:  # fmt: skip
            with self.subTest(expression=expression, now=now):
                self.assertIs(is_due(parse_schedule(expression, ""), None, at(now), BERLIN), due)


class TestNextRun(unittest.TestCase):
    # Each line: expression, start of the run, next run, reason.
    def test_a_plain_job_runs_next_at_the_first_slot_after_its_start(self):
        for expression, started, expected, why in [
            (HOURLY, "2024-03-05 12:00:03", "2024-03-05 13:00", "on time"),
            (HOURLY, "2024-03-05 17:30", "2024-03-05 18:00", "late: nothing is caught up on"),
            (DAILY, "2024-03-05 02:00", "2024-03-05 03:00", "forced before its slot"),
            ("0 3 31 * *", "2024-03-31 04:00", "2024-05-31 03:00", "April has no 31st"),
            ("30 2 * * *", "2024-03-30 03:00", "2024-03-31 03:00", "the clocks skip it"),
        ]:
            with self.subTest(why):
                state = JobState("job", next_run=at("2024-03-01 00:00"), last_success=at("2024-02-01 00:00"))
                self.assertEqual(next_run_after_success(parse_schedule(expression, ""), state, at(started), BERLIN), at(expected))

    def test_slots_that_pass_while_it_fails_are_gone(self):
        job = SimulatedJob(parse_schedule(HOURLY, ""), BERLIN)
        now = at("2024-03-05 12:00").astimezone(UTC)
        for tick in range(60):
            job.tick(now + tick * timedelta(minutes=5), fails=12 <= tick < 42)

        self.assertEqual(job.runs, utc("2024-03-05 12:00", "2024-03-05 15:30", "2024-03-05 16:00"))

    def test_a_backfill_job_runs_all_slots_in_order(self):
        job = SimulatedBackfillJob(parse_schedule("15,45 2 * * *", ""), BERLIN)
        fails = iter(["succeeds", "fails"])
        for now in ("2024-03-29 12:00", "2024-03-30 02:20", "2024-03-30 02:50", "2024-04-01 12:00"):
            job.tick(at(now).astimezone(UTC), lambda date: next(fails, "succeeds"))

        self.assertEqual(job.runs, utc("2024-03-30 02:15", "2024-03-30 02:45", "2024-03-31 03:00", "2024-04-01 02:15", "2024-04-01 02:45"))
        self.assertEqual(job.state.next_run, at("2024-04-02 02:15"))

    def test_its_dates_are_aware_in_the_zone_and_counted(self):
        state = JobState("job", last_success=at("2024-03-29 03:00"))
        question = (parse_schedule(DAILY, ""), state, at("2024-04-01 12:00"), BERLIN)

        dates = list(backfill_dates(*question))

        self.assertEqual(dates, [at("2024-03-30 03:00"), at("2024-03-31 03:00"), at("2024-04-01 03:00")])
        self.assertEqual({date.tzinfo for date in dates}, {BERLIN})
        self.assertEqual(count_backfill_dates(*question), 3)

    def test_a_run_by_a_clock_that_was_ahead_is_planned_anew(self):
        job, now = a_job(DAILY), at("2024-03-05 12:00")
        state = JobState("job", next_run=at("2025-03-06 03:00"), last_run=at("2025-03-05 03:00"))

        self.assertEqual(corrected(job, state, now, BERLIN).next_run, at("2024-03-06 03:00"))
        cursor = JobState("job", last_success=at("2025-03-05 03:00"))
        self.assertEqual(last_date_by(a_job(DAILY, backfill=True), cursor, now, BERLIN), at("2024-03-05 03:00"))


class TestCatchUp(unittest.TestCase):
    # Each line: frequency, time, last success, catchup, first and last that are skipped.
    def test_it_skips_all_but_the_newest_dates(self):
        now = at("2024-03-05 12:00")
        table = [
            ("1d", "03:00", "2024-03-01 03:00", 1, ("2024-03-02 03:00", "2024-03-04 03:00")),
            ("1d", "03:00", "2024-03-01 03:00", 3, ("2024-03-02 03:00", "2024-03-02 03:00")),
            ("1d", "03:00", "2024-03-01 03:00", 4, None),
            ("1d", "03:00", "2024-03-05 03:00", 1, None),
            (DAILY, "", "2024-03-01 03:00", 2, ("2024-03-02 03:00", "2024-03-03 03:00")),
            ("6h", "", "2024-03-04 12:00", 1, ("2024-03-04 18:00", "2024-03-05 06:00")),
        ]
        for frequency, time, success, catchup, expected in table:
            with self.subTest(frequency=frequency, catchup=catchup):
                state = JobState("job", last_success=at(success), error_count=1)
                skipped = dates_to_skip(parse_schedule(frequency, time), state, now, BERLIN, catchup)
                self.assertEqual(skipped, expected and tuple(map(at, expected)))


class TestWhatComesNext(unittest.TestCase):
    now = at("2024-03-05 12:00")

    # Each line: job, columns of its row, the next runs or dates, reason.
    def test_the_next_runs_are_its_slots(self):
        table = [
            (a_job(MONDAYS), {"next_run": at("2024-03-11 08:00")}, ["03-11 08:00", "03-18 08:00", "03-25 08:00"], "a plain job"),
            (a_job(MONDAYS), {"first_slot": at("2024-03-11 08:00")}, ["03-11 08:00", "03-18 08:00", "03-25 08:00"], "the first run"),
            (a_job(DAILY), {"next_run": at("2024-03-05 03:00")}, ["03-05 03:00", "03-06 03:00", "03-07 03:00"], "it is due"),
            (a_job(DAILY, backfill=True), {"last_success": at("2024-03-04 03:00")}, ["03-05 03:00", "03-06 03:00", "03-07 03:00"], "dates"),
        ]
        for job, columns, expected, why in table:
            with self.subTest(why):
                runs = upcoming(job, JobState("job", **columns), self.now, BERLIN, 3)
                self.assertEqual([f"{run.astimezone(BERLIN):%m-%d %H:%M}" for run in runs], expected)

    def test_the_zone_of_the_job_wins_over_the_servers(self):
        job = a_job(DAILY, backfill=True)._replace(zone=BERLIN)
        row = JobState("job", last_success=at("2024-03-04 03:00"))

        self.assertEqual(upcoming(job, row, self.now, UTC, 2), [at("2024-03-05 03:00"), at("2024-03-06 03:00")])
        self.assertEqual(date_named("2024-03-02", job, row, UTC), at("2024-03-02 03:00"))

    def test_outstanding_dates_are_counted(self):
        row = JobState("job", last_success=at("2024-02-29 03:00"))

        outstanding = outstanding_dates(parse_schedule(DAILY, ""), row, self.now, BERLIN)

        self.assertEqual(outstanding, OutstandingDates(5, at("2024-03-01 03:00"), at("2024-03-05 03:00")))

    def test_a_date_is_named_by_its_day_or_its_time(self):
        row, job = JobState("job", last_success=at("2024-02-29 03:00")), a_job("15,45 2 * * *", backfill=True)

        self.assertEqual(date_named("2024-03-02T02:45", job, row, BERLIN), at("2024-03-02 02:45"))
        self.assertEqual(date_before(at("2024-03-02 02:15"), job, BERLIN), at("2024-03-01 02:45"))
        for text, message in [
            ("2024-03-02", "job has 2 dates on 2024-03-02: name one of them, such as 2024-03-02T02:15+01:00"),
            ("2024-03-02T02:30", "2024-03-02T02:30 is none of the dates of job: the nearest are 2024-03-02T02:15+01:00 and"
             " 2024-03-02T02:45+01:00"),
        ]:  # fmt: skip
            with self.subTest(text), self.assertRaises(NoSuchDateError) as caught:
                date_named(text, job, row, BERLIN)
            self.assertEqual(str(caught.exception), message)
