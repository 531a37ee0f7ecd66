"""Jobs with a time of day: every date gets its run, in every zone, through failures, downtime and force."""

import unittest
from bisect import bisect_left
from datetime import date, datetime, time, timedelta, timezone
from functools import cache
from itertools import accumulate
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from crontabber.rules.local_time import exists, last_day, local_date, moment_on
from crontabber.rules.schedule import FIRST_RUN_GRACE, Schedule
from crontabber.rules.time_zone import zone_named
from tests.schedule_simulation import SimulatedJob

UTC = timezone.utc
DAY = timedelta(days=1)
TICK = timedelta(minutes=5)
FIRST, LAST = date(2024, 1, 1), date(2025, 12, 31)
SERVER_ZONES = ("America/Los_Angeles", "Asia/Kolkata", "Australia/Lord_Howe", "Africa/Casablanca", "<-03>+03")
HALF_HOURS = [time(minute // 60, minute % 60) for minute in range(0, 24 * 60, 30)]
# The clocks change between midnight and four.
SOME_HALF_HOURS = [*HALF_HOURS[:9], time(12), time(23, 30)]

zones = st.sampled_from([*SERVER_ZONES, "Europe/Berlin", "America/Nuuk", "Asia/Beirut", "Pacific/Apia"]).map(zone_named)
times = st.times().map(lambda moment: moment.replace(second=0, microsecond=0))
starts = st.datetimes(datetime(2005, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))


class Ticks:
    """Every tick from one date to another in a zone, and the latest local time that clocks have shown by then."""

    def __init__(self, zone, first, last):
        begin = datetime.combine(first, time(), zone).astimezone(UTC)
        end = datetime.combine(last + DAY, time(), zone).astimezone(UTC)
        self.moments = [begin + number * TICK for number in range((end - begin) // TICK)]
        shown = (moment.astimezone(zone).replace(tzinfo=None) for moment in self.moments)
        self._latest_shown = list(accumulate(shown, max))

    def first_from(self, moment):
        """Return the number of the first tick at or after `moment`."""
        return bisect_left(self.moments, moment)

    def first_showing(self, day, at):
        """Return the number of the first tick by which clocks have shown that time or, after a gap, a later one."""
        return bisect_left(self._latest_shown, datetime.combine(day, at))


@cache
def two_years_in(name):
    """Return the zone and all its ticks. Computing 210,000 local times takes most of the time of these tests."""
    return zone_named(name), Ticks(zone_named(name), FIRST, LAST)


class TestTwoYears(unittest.TestCase):
    times = SOME_HALF_HOURS

    def test_a_daily_job_runs_at_the_first_tick_after_its_time(self):
        for name in SERVER_ZONES:
            zone, ticks = two_years_in(name)
            for at in self.times:
                with self.subTest(name, at=at):
                    self.assertEqual(_ran(ticks, zone, 1, at), _expected(ticks, 1, at))

    def test_with_a_frequency_of_several_days_the_dates_keep_their_distance(self):
        for name in SERVER_ZONES:
            zone, ticks = two_years_in(name)
            for days in (2, 7, 30):
                for at in HALF_HOURS[::5]:
                    with self.subTest(name, days=days, at=at):
                        self.assertEqual(_ran(ticks, zone, days, at), _expected(ticks, days, at))

    def test_a_skipped_date_has_no_run_and_costs_no_other_date(self):
        apia = ZoneInfo("Pacific/Apia")
        ticks = Ticks(apia, date(2011, 12, 1), date(2012, 1, 31))
        for at in self.times:
            with self.subTest(at=at):
                ran = _ran(ticks, apia, 1, at)
                days = [ticks.moments[number].astimezone(apia).date() for number in ran]
                expected = [date(2011, 12, 1) + number * DAY for number in range(62)]
                self.assertEqual(days, [day for day in expected if day != date(2011, 12, 30)])


class TestEveryZone(unittest.TestCase):
    @given(zones, starts, st.sampled_from([1, 2, 7, 30]), times)
    @settings(deadline=None)
    def test_runs_on_time_fall_on_every_nth_date(self, zone, first_run, days, at):
        job = SimulatedJob(Schedule(days * DAY, at), zone)
        job.run(first_run)
        slots = Slots(last_day(job.state.next_run, at, zone) - days * DAY, days, at, zone)
        now = first_run

        for _ in range(20):
            self.assertEqual(job.state.next_run, slots.first_after(now))
            now = job.state.next_run
            self.assertTrue(job.tick(now))

    # How many minutes late a run starts: on time, slow, down for up to six weeks.
    late = st.one_of(st.integers(0, 10), st.integers(0, 1500), st.integers(0, 60000))

    @given(zones, starts, st.sampled_from([1, 2, 3, 7, 30]), times, st.lists(st.lists(late, min_size=1, max_size=4)))
    @settings(max_examples=300, deadline=None)
    def test_failures_and_downtime_shift_no_date(self, zone, first_run, days, at, runs):
        """Each run fails at every attempt except the last."""
        job = SimulatedJob(Schedule(days * DAY, at), zone)
        job.run(first_run)
        slots = Slots(last_day(job.state.next_run, at, zone) - days * DAY, days, at, zone)

        for attempts in runs:
            for number, minutes in enumerate(attempts, start=1):
                now = job.state.next_run + timedelta(minutes=minutes)
                self.assertTrue(job.tick(now, fails=number < len(attempts)))
            self.assertEqual(job.state.next_run, slots.first_after(now))
            self.assertLessEqual(job.state.last_success, now)

    @given(
        zones, starts, st.sampled_from([1, 2, 7]), times,
        st.lists(st.tuples(st.integers(0, 60000), st.booleans(), st.booleans()), max_size=20),
    )  # fmt: skip
    @settings(max_examples=300, deadline=None)
    def test_a_forced_success_restarts_the_dates_and_a_forced_failure_does_not(self, zone, first_run, days, at, runs):
        job = SimulatedJob(Schedule(days * DAY, at), zone)
        job.run(first_run)
        slots = Slots(last_day(job.state.next_run, at, zone) - days * DAY, days, at, zone)
        now = first_run

        for minutes, forced, fails in runs:
            now = (now if forced else max(now, job.state.next_run)) + timedelta(minutes=minutes)
            job.run(now, fails, forced)
            if forced and not fails and days > 1:
                slots = Slots(_date_of(now, at, zone), days, at, zone)
            if not fails:
                self.assertEqual(job.state.next_run, slots.first_after(now))


class Slots:
    """The slots after `anchor`, the date of a slot."""

    def __init__(self, anchor, days, at, zone):
        self._dates = (anchor, days)
        self._at = at
        self._zone = zone

    def first_after(self, moment):
        anchor, days = self._dates
        day = anchor + days * DAY
        while moment_on(day, self._at, self._zone) <= moment or (days == 1 and not exists(day, self._zone)):
            day += days * DAY
        return moment_on(day, self._at, self._zone)


def _date_of(moment, at, zone):
    """Return the date from which a forced run restarts the dates: yesterday, if its slot has only just passed."""
    today = local_date(moment, zone)
    return today - DAY if moment - moment_on(today - DAY, at, zone) < FIRST_RUN_GRACE else today


def _ran(ticks, zone, days, at):
    """Return the numbers of the ticks that run such a job, from its first run on."""
    job = SimulatedJob(Schedule(days * DAY, at), zone)
    number = next(number for number, moment in enumerate(ticks.moments) if job.is_due(moment))
    ran = []
    while number < len(ticks.moments):
        job.run(ticks.moments[number])
        ran.append(number)
        number = ticks.first_from(job.state.next_run)
    return ran


def _expected(ticks, days, at):
    return [ticks.first_showing(FIRST + number * days * DAY, at) for number in range(-(-((LAST - FIRST).days + 1) // days))]
