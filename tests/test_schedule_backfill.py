"""The dates of a backfill job: each slot exactly once, in order, despite failures, downtime and kills."""

import tracemalloc
import unittest
from datetime import date, datetime, time, timedelta, timezone
from itertools import islice
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from crontabber.rules.backfill import backfill_dates, count_backfill_dates, next_date
from crontabber.rules.job_state import JobState
from crontabber.rules.local_time import exists, last_day, local_date, moment_on
from crontabber.rules.schedule import (
    NEVER,
    Schedule,
    parse_schedule,
)
from tests.schedule_simulation import SimulatedBackfillJob

UTC = timezone.utc
DAY = timedelta(days=1)
BERLIN = ZoneInfo("Europe/Berlin")
APIA = ZoneInfo("Pacific/Apia")
ERROR = {"type": "<class 'OSError'>", "value": "no such luck", "traceback": ""}
SLOTS = [time(0, 0), time(2, 30), time(12, 0), time(23, 58)]

zones = st.sampled_from(["UTC", "Europe/Berlin", "America/Los_Angeles", "Australia/Lord_Howe", "Pacific/Apia"]).map(
    ZoneInfo
)
intervals = st.one_of(
    st.integers(1, 59).map(lambda n: n * timedelta(minutes=1)),
    st.integers(1, 48).map(lambda n: n * timedelta(hours=1)),
    st.integers(1, 90).map(lambda n: n * DAY),
)
schedules = st.one_of(
    intervals.map(Schedule),
    st.tuples(st.integers(1, 90).map(lambda n: n * DAY), st.sampled_from(SLOTS)).map(lambda pair: Schedule(*pair)),
)
moments = st.datetimes(datetime(2010, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))


class TestDates(unittest.TestCase):
    # Each line: frequency, time, state, now, the dates as clocks in Berlin show them, reason.
    def test_the_dates_go_from_the_last_success_up_to_now(self):
        first, success = "2024-03-05 12:00:41.250000", "2024-03-05 12:00:41.250000"
        table = [
            ("1h", "", None, "2024-03-05 12:00:41.250000", ["2024-03-05 12:00:41.250000"], "the first run: now"),
            ("1d", "21:00", None, "2024-03-05 21:00:07", ["2024-03-05 21:00:00"], "with a time: its slot"),
            ("1h", "", {}, "2024-03-05 13:00:00", ["2024-03-05 13:00:00"], "a legacy row with neither success nor error"),
            ("1h", "", {"first_run": first}, "2024-03-05 13:00:00", ["2024-03-05 13:00:00"], "the same with a first run"),
            ("1h", "", {"first_run": first, "error_count": 2}, "2024-03-05 13:30:00", ["2024-03-05 12:00:41.250000", "2024-03-05 13:00:41.250000"], "the first date failed: it is tried again as itself"),
            ("1h", "", {"first_run": first, "last_error": ERROR}, "2024-03-05 12:30:00", ["2024-03-05 12:00:41.250000"], "the same in a row of the original, which may have no count"),
            ("1h", "", {"last_success": success}, "2024-03-05 14:59:00", ["2024-03-05 13:00:41.250000", "2024-03-05 14:00:41.250000"], "from the last success on; microseconds do not drift"),
            ("1h", "", {"last_success": success}, "2024-03-05 13:00:41.250000", ["2024-03-05 13:00:41.250000"], "up to and including now, when it is due"),
            ("1h", "", {"last_success": success}, "2024-03-05 13:00:41.249999", [], "a microsecond earlier it is not due"),
            ("1h", "", {"last_success": success, "first_run": "2024-01-01 00:00:00", "error_count": 1}, "2024-03-05 13:30:00", ["2024-03-05 13:00:41.250000"], "a failing date is tried again as itself"),
            ("1h", "", {"last_success": "2024-03-31 00:30:00"}, "2024-03-31 04:00:00", ["2024-03-31 01:30:00", "2024-03-31 03:30:00"], "an hour keeps its length when the clocks change"),
            ("1d", "", {"last_success": "2024-03-30 12:00:00"}, "2024-04-01 00:00:00", ["2024-03-31 13:00:00"], "without a time of day, a day is 24 hours"),
            ("1d", "02:30", {"last_success": "2024-03-29 02:30:00"}, "2024-04-01 02:30:00", ["2024-03-30 02:30:00", "2024-03-31 03:00:00", "2024-04-01 02:30:00"], "with one, it is the next date"),
            ("1d", "02:30", {"last_success": "2024-10-25 02:30:00"}, "2024-10-28 02:29:00", ["2024-10-26 02:30:00", "2024-10-27 02:30:00"], "once in the overlap"),
            ("7d", "21:00", {"last_success": "2024-03-05 21:00:07"}, "2024-03-20 00:00:00", ["2024-03-12 21:00:00", "2024-03-19 21:00:00"], "after the first run, its dates are at its time of day"),
            ("1d", "23:58", {"last_success": "2024-03-06 00:00:07"}, "2024-03-07 00:00:03", ["2024-03-06 23:58:00"], "a first run just after midnight counts for the day before"),
            ("1d", "21:00", {"last_success": "2024-03-05 03:00:00"}, "2024-03-06 21:00:00", ["2024-03-06 21:00:00"], "the original's date at another time: its date counts"),
        ]  # fmt: skip
        for frequency, time_, columns, now, expected, why in table:
            with self.subTest(why):
                question = (parse_schedule(frequency, time_), _state_of(columns), _at(now), BERLIN)
                dates = list(backfill_dates(*question))
                self.assertEqual([_shown(date) for date in dates], expected)
                self.assertEqual({date.tzinfo for date in dates}, {BERLIN} if expected else set())
                self.assertEqual(count_backfill_dates(*question), len(expected))

    def test_a_daily_job_does_not_run_for_a_skipped_date(self):
        state = JobState("job", last_success=datetime(2011, 12, 28, 21, tzinfo=APIA))

        dates = backfill_dates(parse_schedule("1d", "21:00"), state, datetime(2012, 1, 1, 22, tzinfo=APIA), APIA)

        self.assertEqual([date.day for date in dates], [29, 31, 1])

    def test_an_interval_beyond_the_end_of_time_has_no_second_date(self):
        for frequency, time_ in (("999999999d", ""), ("999999999d", "03:00")):
            with self.subTest(frequency, time=time_):
                schedule = parse_schedule(frequency, time_)
                now = _at("2024-03-05 12:00:00")
                self.assertEqual(len(list(backfill_dates(schedule, None, now, BERLIN))), 1)
                state = JobState("job", last_success=now)
                self.assertEqual(list(backfill_dates(schedule, state, now, BERLIN)), [])
                self.assertEqual(next_date(schedule, state, BERLIN), NEVER)

    def test_six_years_of_hours_are_generated_one_by_one(self):
        begin = datetime(2018, 3, 5, 12, 0, 0, 250000, tzinfo=UTC)
        state = JobState("job", last_success=begin)
        now = begin + 6 * 365 * DAY
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)

        count = sum(1 for _ in backfill_dates(parse_schedule("1h", ""), state, now, BERLIN))
        most_memory = tracemalloc.get_traced_memory()[1]

        self.assertEqual(count, 6 * 365 * 24)
        self.assertEqual(count_backfill_dates(parse_schedule("1h", ""), state, now, BERLIN), count)
        self.assertLess(most_memory, 100_000)

    def test_they_can_be_stopped_and_resumed_anywhere(self):
        begin = datetime(2018, 3, 5, 12, tzinfo=UTC)
        schedule, state, now = parse_schedule("1h", ""), JobState("job", last_success=begin), begin + 6 * 365 * DAY

        ran = []
        while part := list(islice(backfill_dates(schedule, state, now, UTC), 10_000)):
            ran += part
            state = JobState("job", last_success=part[-1])

        self.assertEqual(ran, [begin + number * timedelta(hours=1) for number in range(1, 6 * 365 * 24 + 1)])


class TestCalendarDates(unittest.TestCase):
    # Each line: frequency, time, columns (last_date among them), zone, now, the dates, reason. 26 November is a Tuesday.
    def test_the_next_date_is_one_interval_after_the_last_calendar_date(self):
        tokyo, utc = ZoneInfo("Asia/Tokyo"), ZoneInfo("UTC")
        midnight = datetime(2024, 11, 27, tzinfo=UTC)
        done = {"last_success": midnight, "last_date_for": midnight, "last_date": date(2024, 11, 26)}
        table = [
            ("1d", "23:58", done, utc, "2024-11-27 23:59", ["27 23:58"], "the date that has just ended was done at 00:00"),
            ("1d", "12:00", done, utc, "2024-11-27 12:00", ["27 12:00"], "another time: the 27th has no run yet"),
            ("1d", "00:00", done, utc, "2024-11-27 00:05", ["27 00:00"], "even if both have the same instant"),
            ("1d", "12:00", done, tokyo, "2024-11-28 12:00", ["27 12:00", "28 12:00"], "another zone: the same dates"),
            ("7d", "12:00", done, utc, "2024-12-10 13:00", ["03 12:00", "10 12:00"], "Tuesdays stay Tuesdays"),
            ("1d", "23:58", done | {"last_date_for": midnight + timedelta(microseconds=1)}, utc, "2024-11-28 00:00", ["27 23:58"], "another success was stored since: it was the 26th's"),
            ("1d", "21:00", done | {"last_date_for": None}, utc, "2024-11-28 21:00", ["28 21:00"], "the same at another time: the day of the success counts"),
            ("1d", "", done, utc, "2024-11-28 00:00", ["28 00:00"], "without a time, instants count"),
        ]  # fmt: skip
        for frequency, time_, columns, zone, now, expected, why in table:
            with self.subTest(why):
                now = datetime.fromisoformat(now).replace(tzinfo=zone)
                dates = backfill_dates(parse_schedule(frequency, time_), JobState("job", **columns), now, zone)
                self.assertEqual([f"{moment:%d %H:%M}" for moment in dates], expected)

    def test_the_success_is_compared_as_an_instant(self):
        overlap = datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN, fold=1)
        state = JobState("job", last_success=overlap, last_date=date(2024, 10, 20), last_date_for=overlap.astimezone(UTC))

        self.assertEqual(next_date(parse_schedule("1d", "12:00"), state, BERLIN), datetime(2024, 10, 21, 10, tzinfo=UTC))

    def test_the_first_date_is_the_noted_slot_until_it_is_done(self):
        slot = datetime(2024, 11, 26, 23, 30, tzinfo=UTC)
        failed = {"first_run": slot + timedelta(hours=30), "error_count": 1}
        table = [
            ("23:30", {}, ["26 23:30", "27 23:30"], "the first run came late"),
            ("23:30", failed, ["26 23:30", "27 23:30"], "the first date failed"),
            ("21:00", failed, ["26 21:00", "27 21:00"], "and the time has changed: its date counts"),
            ("23:45", failed, ["26 23:45", "27 23:45"], "the same to a later time"),
        ]
        for time_, columns, expected, why in table:
            with self.subTest(why):
                now = datetime(2024, 11, 28, 6, tzinfo=UTC)
                state = JobState("job", first_slot=slot, **columns)
                dates = backfill_dates(parse_schedule("1d", time_), state, now, UTC)
                self.assertEqual([f"{moment:%d %H:%M}" for moment in dates], expected)

    def test_a_first_date_that_failed_stays_the_first_while_its_time_changes(self):
        job = SimulatedBackfillJob(parse_schedule("1d", "12:00"), UTC)
        first_run = datetime(2024, 11, 26, 13, tzinfo=UTC)
        job.tick(first_run, lambda date: "fails")
        job.schedule = parse_schedule("1d", "23:30")
        job.tick(first_run + timedelta(minutes=5))
        job.schedule = parse_schedule("1d", None)

        job.tick(first_run + 2 * DAY)

        self.assertEqual(job.runs, [first_run, first_run + DAY, first_run + 2 * DAY])

    def test_a_noted_date_that_is_still_to_come_is_waited_for(self):
        slot = datetime(2024, 11, 26, 23, 30, tzinfo=UTC)
        state = JobState("job", first_run=slot - timedelta(minutes=10), error_count=1, first_slot=slot)

        dates = backfill_dates(parse_schedule("1d", "23:30"), state, slot - timedelta(minutes=5), UTC)

        self.assertEqual(list(dates), [])

    def test_without_a_note_the_first_date_is_the_latest_slot(self):
        first_run = datetime(2024, 11, 27, 0, 5, tzinfo=UTC)
        for state in (None, JobState("job", first_run=first_run, error_count=1)):
            with self.subTest(state=state):
                dates = backfill_dates(parse_schedule("1d", "23:58"), state, first_run, UTC)
                self.assertEqual(list(dates), [datetime(2024, 11, 26, 23, 58, tzinfo=UTC)])


class TestRuns(unittest.TestCase):
    # For each tick: how many intervals late it comes, and how the next few dates end.
    patterns = st.lists(
        st.tuples(
            st.one_of(st.just(0), st.floats(0, 1), st.floats(0, 12)),
            st.lists(st.sampled_from(["succeeds", "succeeds", "succeeds", "fails", "before", "after"]), max_size=8),
        ),
        max_size=20,
    )

    @given(schedules, zones, moments, patterns)
    @settings(max_examples=300, deadline=None)
    def test_each_slot_succeeds_exactly_once_and_in_order(self, schedule, zone, now, pattern):
        job = SimulatedBackfillJob(schedule, zone)
        first = now = _first_tick(schedule, zone, now)
        for intervals_late, fates in [*pattern, (0, []), (0, [])]:
            if job.state is not None:
                now = max(now, job.state.next_run or now) + intervals_late * schedule.every
            left_by_dead_owner = job.state is not None and job.state.ongoing is not None
            ran, done = len(job.runs), iter(fates)

            self.assertTrue(job.tick(now, lambda date, done=done: next(done, "succeeds")))

            if not fates and not left_by_dead_owner:
                self.assertGreater(len(job.runs), ran, "a run without a date")
        # As instants: across zones, times in an overlap never compare equal.
        self.assertEqual([date.astimezone(UTC) for date in job.runs], _slots(schedule, zone, first, now))

    @given(schedules, zones, moments, st.lists(st.floats(0, 3), max_size=20))
    @settings(deadline=None)
    def test_a_job_is_due_exactly_when_it_has_a_date_to_run(self, schedule, zone, now, intervals_apart):
        job = SimulatedBackfillJob(schedule, zone)
        now = _first_tick(schedule, zone, now)
        job.tick(now)
        for apart in intervals_apart:
            now += apart * schedule.every
            dates = list(backfill_dates(schedule, job.state, now, zone))
            self.assertEqual(job.tick(now), bool(dates))
            self.assertEqual(job.runs[len(job.runs) - len(dates) :], dates)

    @given(st.lists(st.tuples(st.floats(0, 55), st.floats(0, 90)), min_size=1, max_size=288))
    @settings(deadline=None)
    def test_late_ticks_delay_each_date_by_at_most_one_tick(
        self, lateness
    ):
        schedule, begin = parse_schedule("5m", ""), datetime(2024, 3, 5, tzinfo=UTC)
        job = SimulatedBackfillJob(schedule, UTC)
        for number, seconds in enumerate(lateness):
            now = begin + number * schedule.every + timedelta(seconds=sum(seconds))
            ran = len(job.runs)
            self.assertEqual(job.tick(now), len(job.runs) > ran)
            self.assertLess(now - job.runs[-1], schedule.every)
        self.assertEqual(job.runs, [job.runs[0] + n * schedule.every for n in range(len(job.runs))])

    @given(schedules, zones, moments, st.floats(0, 40))
    @settings(deadline=None)
    def test_the_count_equals_the_number_of_dates(self, schedule, zone, success, intervals_later):
        state = JobState("job", last_success=success)
        now = success + intervals_later * schedule.every

        dates = list(backfill_dates(schedule, state, now, zone))

        self.assertEqual(count_backfill_dates(schedule, state, now, zone), len(dates))


def _first_tick(schedule, zone, now):
    """Return when the job runs first: at once, or at today's slot if that is still to come."""
    return now if schedule.at is None else max(now, moment_on(local_date(now, zone), schedule.at, zone))


def _slots(schedule, zone, first, now):
    """Return every date from the first run on, computed in a different way: by numbers of intervals."""
    if schedule.at is None:
        return [first + n * schedule.every for n in range((now - first) // schedule.every + 1)]
    slots, day = [], last_day(first, schedule.at, zone)
    while moment_on(day, schedule.at, zone) <= now:
        if schedule.every > DAY or exists(day, zone):
            slots.append(moment_on(day, schedule.at, zone))
        day += schedule.every
    return slots


def _at(text):
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(UTC)


def _shown(moment):
    return moment.replace(tzinfo=None).isoformat(" ")


def _state_of(columns):
    if columns is None:
        return None
    return JobState("job", **{name: _at(v) if isinstance(v, str) else v for name, v in columns.items()})
