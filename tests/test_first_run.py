"""The first run of a job with a time of day: its slot is noted, and served even after midnight."""

import unittest
from datetime import datetime, timezone
from types import SimpleNamespace
from zoneinfo import ZoneInfo

from crontabber.rules.after_run import Occasion, state_after
from crontabber.rules.job import Job
from crontabber.rules.job_state import Failure, JobState, Outcome
from crontabber.rules.schedule import first_slot, is_due, is_unseen, parse_schedule
from tests.schedule_simulation import SimulatedJob

UTC = timezone.utc
BERLIN = ZoneInfo("Europe/Berlin")
FAILURE = Failure("<class 'OSError'>", "no such luck", "", "OSError('no such luck')")


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(UTC)


class TestFirstSlot(unittest.TestCase):
    def test_it_is_todays_unless_the_noted_one_still_fits(self):
        table = [
            ("21:00", None, "2024-03-05 10:00", "2024-03-05 21:00", "first seen before its time"),
            ("21:00", None, "2024-03-05 22:13", "2024-03-05 21:00", "first seen after it: due at once"),
            ("23:58", None, "2024-03-06 00:00", "2024-03-06 23:58", "just after midnight: yesterday was before its days"),
            ("21:00", "2024-03-05 21:00", "2024-03-06 00:10", "2024-03-05 21:00", "noted, and midnight has passed"),
            ("21:00", "2024-03-05 21:00", "2024-03-09 12:00", "2024-03-05 21:00", "however long ago"),
            ("22:00", "2024-03-05 21:00", "2024-03-06 00:10", "2024-03-06 22:00", "the time has changed"),
            ("21:00", "2024-03-05 20:00", "2024-03-06 00:10", "2024-03-06 21:00", "the zone has changed"),
            ("21:00", "2025-03-05 21:00", "2024-03-06 00:10", "2024-03-06 21:00", "a clock was a year ahead"),
            ("21:00", "2024-03-07 21:00", "2024-03-06 23:59", "2024-03-06 21:00", "a clock was a day ahead"),
            ("02:30", "2024-03-31 03:00", "2024-03-31 03:00", "2024-03-31 03:00", "the end of a gap"),
        ]
        for time_, noted, now, expected, why in table:
            with self.subTest(why):
                slot = first_slot(parse_schedule("1d", time_), noted and at(noted), at(now), BERLIN)
                self.assertEqual(slot, at(expected))

    def test_only_a_timed_job_without_a_next_run_waits_for_one(self):
        planned = JobState("job", next_run=at("2024-03-06 21:00"))
        table = [("1d", "21:00", None, True), ("1d", "21:00", JobState("job"), True), ("1d", "21:00", planned, False), ("1d", "", None, False)]
        for frequency, time_, state, expected in table:
            with self.subTest(time=time_, state=state):
                self.assertEqual(is_unseen(parse_schedule(frequency, time_), state), expected)

    def test_a_first_run_is_due_from_its_noted_slot_on(self):
        noted = JobState("job", first_slot=at("2024-03-05 23:30"))
        schedule = parse_schedule("1d", "23:30")
        for now, due in (("2024-03-05 23:29", False), ("2024-03-05 23:30", True), ("2024-03-06 00:00", True), ("2024-03-06 10:00", True)):
            with self.subTest(now):
                self.assertEqual(is_due(schedule, noted, at(now), BERLIN), due)
        self.assertTrue(is_due(parse_schedule("1d", ""), noted, at("2024-03-05 10:00"), BERLIN), "the time is gone")


class TestFirstRun(unittest.TestCase):
    def after(self, frequency, outcome, slot="2024-03-05 23:30", backfill=False, forced=False):
        job = Job("job", SimpleNamespace(_is_backfill_app=backfill), None, parse_schedule(frequency, "23:30"))
        occasion = Occasion(None, outcome.started, forced, at(slot))
        return state_after(job, occasion, outcome, BERLIN)

    def test_after_midnight_it_counts_for_the_day_of_its_slot(self):
        started = at("2024-03-06 01:00")
        for frequency, next_run, success in (("1d", "2024-03-06 23:30", started), ("7d", "2024-03-12 23:30", at("2024-03-05 23:30"))):
            with self.subTest(frequency):
                state = self.after(frequency, Outcome(started, started, started))
                self.assertEqual((state.next_run, state.last_success), (at(next_run), success))

    def test_forced_before_its_slot_it_counts_for_its_own_day(self):
        started = at("2024-03-05 10:00")

        state = self.after("7d", Outcome(started, started, started), forced=True)

        self.assertEqual(state.next_run, at("2024-03-12 23:30"))

    def test_an_interrupted_first_run_stays_due(self):
        started, slot = at("2024-03-08 01:00"), at("2024-03-05 23:30")
        for success, next_run in ((None, None), (slot, at("2024-03-06 23:30"))):
            with self.subTest(success):
                state = self.after("1d", Outcome(started, started, success, FAILURE, True), backfill=True)
                self.assertEqual(state.next_run, next_run)

    def test_a_weekly_job_keeps_its_weekday_if_its_first_run_fails(self):
        job = SimulatedJob(parse_schedule("7d", "23:30"), BERLIN)
        job.tick(at("2024-03-05 10:00"))
        job.tick(at("2024-03-06 01:00"), fails=True)

        job.tick(at("2024-03-06 01:05"))

        self.assertEqual(job.state.next_run, at("2024-03-12 23:30"))

    def test_the_note_goes_with_the_first_success(self):
        started, slot = at("2024-03-06 01:00"), at("2024-03-05 23:30")
        table = [
            (False, Outcome(started, started, started), None, "a success"),
            (False, Outcome(started, started, None, FAILURE), slot, "it failed: its dates count from that slot"),
            (True, Outcome(started, started, slot), None, "its first date is done"),
            (True, Outcome(started, started, None, FAILURE), slot, "its first date failed: it is tried again"),
            (True, Outcome(started, started, slot, FAILURE), None, "its second date failed"),
            (False, Outcome(started, started, None, FAILURE, True), slot, "an interruption is no run"),
        ]
        for backfill, outcome, expected, why in table:
            with self.subTest(why):
                self.assertEqual(self.after("1d", outcome, backfill=backfill).first_slot, expected)
