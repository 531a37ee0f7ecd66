"""The state of a job, at the moments when it changes."""

import unittest
from datetime import datetime, timedelta, timezone

from crontabber.rules.health import health_of
from crontabber.rules.job import Job
from crontabber.rules.job_state import JobState
from crontabber.rules.plan import steps
from crontabber.rules.policy import DEFAULT, Policy
from crontabber.rules.schedule import parse_schedule
from crontabber.rules.tick import Tick

UTC = timezone.utc
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SECOND = timedelta(seconds=1)
RAN = JobState("job", first_run=NOW - 9 * DAY, last_run=NOW - DAY, last_success=NOW - DAY)


class Backfill:
    _is_backfill_app = True


def job(frequency="1d", depends_on=(), job_class=object, **more):
    return Job("job", job_class, None, parse_schedule(frequency, None), depends_on, Policy(max_errors=3), **more)


def state(configured_job, row, *others, ongoing=None, tick_interval=5 * MINUTE):
    """Return the word for the job; it has been `ongoing` for so long."""
    tick = Tick(NOW, {each.app_name: each for each in (row, *others)}, configured={"job": DEFAULT, "parent": DEFAULT})
    if ongoing is not None:
        tick.ongoing["job"] = {"since": NOW - ongoing, "process": "host:1", "holds_lock": True}
    (step,) = steps([configured_job], tick, UTC)
    return health_of(step, tick, UTC, tick_interval).state


class TestOverdue(unittest.TestCase):
    def test_it_is_overdue_after_two_ticks_and_a_quarter_of_its_interval(self):
        for frequency, tick_interval, limit in (
            ("1d", 5 * MINUTE, 10 * MINUTE + DAY / 4),
            ("1h", 5 * MINUTE, 25 * MINUTE),
            ("1h", HOUR, 2 * HOUR + 15 * MINUTE),
            ("0 3 * * *", 5 * MINUTE, 10 * MINUTE),
        ):
            with self.subTest(frequency=frequency, tick_interval=tick_interval):
                late = RAN._replace(next_run=NOW - limit - SECOND)

                self.assertEqual(state(job(frequency), late, tick_interval=tick_interval), "overdue")
                in_time = late._replace(next_run=NOW - limit + SECOND)
                self.assertEqual(state(job(frequency), in_time, tick_interval=tick_interval), "ok")

    def test_a_slot_that_no_tick_has_noted_is_not_late(self):
        never = JobState("job", first_slot=NOW - 9 * HOUR)
        self.assertEqual(state(job("0 3 * * *"), never), "overdue")

        tick = Tick(NOW, {}, {})
        tick.note("job", NOW - 9 * HOUR)
        (step,) = steps([job("0 3 * * *")], tick, UTC)

        self.assertEqual(health_of(step, tick, UTC, 5 * MINUTE).state, "never ran")

    def test_a_cursor_that_was_just_moved_is_not_late(self):
        moved = RAN._replace(next_run=NOW - 8 * DAY, last_run=NOW - MINUTE)

        self.assertEqual(state(job("1h", job_class=Backfill), moved), "ok")

    def test_what_explains_that_it_does_not_run_says_so(self):
        late = RAN._replace(next_run=NOW - 8 * DAY)
        failed = RAN._replace(app_name="parent", error_count=1, next_run=NOW + MINUTE)
        child = job(depends_on=("parent",))
        for configured_job, row, others, word in (
            (job(), late._replace(paused_at=NOW - 9 * DAY), (), "paused"),
            (job(), late._replace(error_count=3), (), "gave up"),
            (child, late, [failed], "held back"),
            (child, late, [failed._replace(error_count=0, next_run=NOW - MINUTE)], "held back"),
            (child, late, [], "held back"),
            (job(broken_dependency="parent"), late, (), "held back"),
        ):
            with self.subTest(word, others=others):
                self.assertEqual(state(configured_job, row, *others), word)

    def test_a_dependency_that_nobody_runs_here_explains_nothing(self):
        late, child = RAN._replace(next_run=NOW - 8 * DAY), job(depends_on=("foreign",))
        foreign = RAN._replace(app_name="foreign", next_run=NOW - DAY)

        self.assertEqual(state(child, late), "overdue")
        self.assertEqual(state(child, late, foreign), "overdue")
        self.assertEqual(state(child, late._replace(next_run=NOW - MINUTE)), "held back")
        self.assertEqual(state(child, late, foreign._replace(paused_at=NOW)), "held back")

    def test_a_run_that_takes_longer_than_the_interval_is_overdue(self):
        due = RAN._replace(next_run=NOW - DAY)
        for frequency, limit in (("1h", 85 * MINUTE), ("1d", DAY + DAY / 4 + 10 * MINUTE)):
            with self.subTest(frequency):
                self.assertEqual(state(job(frequency), due, ongoing=limit - SECOND), "ongoing")
                self.assertEqual(state(job(frequency), due, ongoing=limit + SECOND), "overdue")

    def test_a_run_that_misses_a_slot_of_its_cron_expression_is_overdue(self):
        due = RAN._replace(next_run=NOW - DAY)

        self.assertEqual(state(job("50 11 * * *"), due, ongoing=3 * HOUR), "ongoing")
        self.assertEqual(state(job("49 11 * * *"), due, ongoing=3 * HOUR), "overdue")
        self.assertEqual(state(job("49 11 * * *"), due, ongoing=MINUTE), "ongoing")

    def test_a_run_that_makes_up_for_dates_may_take_as_long_as_they_go_back(self):
        backfill = job("1h", job_class=Backfill)
        # It started 5 hours ago, when 20 dates were outstanding; 18 still are.
        row = RAN._replace(last_success=NOW - 23 * HOUR, next_run=NOW - 24 * HOUR)

        self.assertEqual(state(backfill, row, ongoing=5 * HOUR), "ongoing")
        self.assertEqual(state(backfill, row._replace(last_success=NOW - 6 * HOUR), ongoing=5 * HOUR), "overdue")
