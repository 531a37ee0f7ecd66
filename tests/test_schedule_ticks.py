"""Jobs without a time of day, in ticks that start late and behind jobs that are slow."""

import random
import unittest
from datetime import datetime, timedelta, timezone

from hypothesis import given, settings
from hypothesis import strategies as st

from crontabber.rules.schedule import parse_schedule
from tests.schedule_simulation import RETRY_AFTER, SimulatedJob

UTC = timezone.utc
MIDNIGHT = datetime(2024, 3, 5, tzinfo=UTC)
FIVE_MINUTES = timedelta(minutes=5)
TICKS_A_DAY = 288


class TestADayOfTicks(unittest.TestCase):
    def test_a_job_runs_at_each_of_its_ticks_however_late_they_start(self):
        every = {"5m": 1, "10m": 2, "15m": 3, "1h": 12, "6h": 72, "1d": 288}
        for seed in range(100):
            ran = _ticks_that_ran(list(every), _late_ticks(random.Random(seed)))
            for frequency, step in every.items():
                with self.subTest(frequency, seed=seed):
                    self.assertEqual(ran[frequency], list(range(0, TICKS_A_DAY, step)))

    def test_skipped_ticks_cost_only_their_own_runs(self):
        for seed in range(100):
            rng = random.Random(seed)
            starting = sorted(rng.sample(range(TICKS_A_DAY), 200))
            late = list(_late_ticks(rng))
            with self.subTest(seed=seed):
                ran = _ticks_that_ran(["5m"], [late[number] for number in starting])
                self.assertEqual(ran["5m"], list(range(200)))

    def test_a_one_minute_job_runs_at_every_tick_of_any_crontab(self):
        for minutes in (1, 2, 5):
            with self.subTest(minutes=minutes):
                ticks = list(_late_ticks(random.Random(minutes), timedelta(minutes=minutes), slowest=0))
                self.assertEqual(_ticks_that_ran(["1m"], ticks)["1m"], list(range(TICKS_A_DAY)))

    def test_after_failures_its_first_success_brings_it_back_to_every_tick(self):
        for seed in range(50):
            rng = random.Random(seed)
            job = SimulatedJob(parse_schedule("5m", ""), UTC)
            for number, (tick_started, reached) in enumerate(_late_ticks(rng)):
                failing = 100 <= number < 110
                ran = job.tick(reached, fails=failing, tick_started=tick_started)
                # A retry is due one retry time after the failure: the next tick may come just too early for it.
                if number not in range(101, 112):
                    self.assertTrue(ran, (seed, number))


class TestPhase(unittest.TestCase):
    frequencies = st.builds("{}{}".format, st.integers(1, 200), st.sampled_from("mhd"))

    @given(frequencies, st.lists(st.floats(0, 0.4999), max_size=30))
    @settings(deadline=None)
    def test_it_never_drifts_while_runs_are_less_than_half_an_interval_late(self, frequency, lateness):
        schedule = parse_schedule(frequency, "")
        job = SimulatedJob(schedule, UTC)
        job.run(MIDNIGHT)

        for late in lateness:
            self.assertTrue(job.tick(job.state.next_run + late * schedule.every))

        self.assertEqual(job.state.next_run, MIDNIGHT + (len(lateness) + 1) * schedule.every)

    @given(frequencies, st.integers(-(10**6), 10**6), st.integers(0, 10**5), st.booleans())
    @settings(deadline=None)
    def test_the_next_run_is_about_half_to_one_interval_ahead(
        self, frequency, seconds_late, tick_took, forced
    ):
        schedule = parse_schedule(frequency, "")
        job = SimulatedJob(schedule, UTC)
        job.run(MIDNIGHT)
        started = job.state.next_run + timedelta(seconds=seconds_late)

        job.run(started, forced=forced, tick_started=started - timedelta(seconds=tick_took))

        ahead = job.state.next_run - started
        self.assertEqual((job.state.next_run.second, job.state.next_run.microsecond), (0, 0))
        self.assertLessEqual(ahead, schedule.every)
        self.assertGreater(ahead, schedule.every / 2 - timedelta(minutes=1))

    @given(frequencies, st.lists(st.booleans(), min_size=1, max_size=30))
    @settings(deadline=None)
    def test_a_failure_is_retried_after_the_retry_time_at_any_frequency(self, frequency, fates):
        job = SimulatedJob(parse_schedule(frequency, ""), UTC)
        now = MIDNIGHT
        for fails in fates:
            self.assertTrue(job.tick(now, fails))
            if fails:
                self.assertEqual(job.state.next_run, now + RETRY_AFTER)
            now = job.state.next_run


def _late_ticks(rng, apart=FIVE_MINUTES, slowest=90):
    """Yield for each tick when it starts, 0 to 55 s late, and when the slow jobs before ours have ended."""
    for number in range(TICKS_A_DAY):
        started = MIDNIGHT + number * apart + timedelta(seconds=rng.uniform(0, 55))
        yield started, started + timedelta(seconds=rng.uniform(0, slowest))


def _ticks_that_ran(frequencies, ticks):
    """Return for each frequency the numbers of the ticks that ran its job."""
    jobs = {frequency: SimulatedJob(parse_schedule(frequency, ""), UTC) for frequency in frequencies}
    ran = {frequency: [] for frequency in frequencies}
    for number, (tick_started, reached) in enumerate(ticks):
        for frequency, job in jobs.items():
            if job.tick(reached, tick_started=tick_started):
                ran[frequency].append(number)
    return ran
