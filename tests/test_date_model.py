"""Random histories of jobs under the rules of the schedule, compared with the model that the documentation gives."""

import os
import random
import unittest
from datetime import datetime, time, timedelta, timezone
from typing import NamedTuple
from zoneinfo import ZoneInfo

from crontabber.rules.schedule import Schedule
from tests import date_model
from tests.schedule_simulation import SimulatedBackfillJob, SimulatedJob

UTC = timezone.utc
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

ZONES = [
    ZoneInfo(name)
    for name in (
        "UTC", "Europe/Berlin", "Europe/London", "America/Los_Angeles", "America/Havana", "America/Nuuk", "Asia/Beirut",
        "Asia/Tokyo", "Australia/Lord_Howe", "Pacific/Apia", "Pacific/Kiritimati", "Pacific/Pago_Pago",
    )
]  # fmt: skip
# Shortly before clocks change in these zones, or Samoa skips a date.
EVENTFUL = [datetime(2011, 12, 27), datetime(2024, 3, 28), datetime(2024, 10, 24), datetime(2025, 4, 3), datetime(2025, 9, 25)]
# The clocks skip some of these, or show them twice.
TIMES = [time(0, 0), time(0, 30), time(1, 45), time(2, 30), time(12, 0), time(23, 30), time(23, 58)]
EXPRESSIONS = [
    "0 3 * * *", "30 2 * * 1-5", "15,45 2,3 * * *", "0 0 1,15 * *", "30 0 L * *", "0 0 * * MON,THU", "0 */6 * * *",
    "*/30 1,2 * * *", "0 * 1 * *",
]  # fmt: skip
APART = [5 * MINUTE, 5 * MINUTE, HOUR, 7 * HOUR, DAY, 3 * DAY, 20 * DAY]


class Start(NamedTuple):
    """A start of crontabber: when, what holds then, and which of its dates fails, if it comes to that."""

    now: datetime
    job: date_model.Job
    failing: int | None


class TestModel(unittest.TestCase):
    number = 300

    def setUp(self):
        seed = int(os.environ.get("CRONTABBER_TEST_SEED", random.randrange(2**32)))
        print(f"CRONTABBER_TEST_SEED={seed}")
        self.chance = random.Random(seed)

    def test_backfill_jobs_run_the_dates_that_the_docs_promise(self):
        self.compare(backfill=True)

    def test_plain_jobs_run_when_the_docs_promise(self):
        self.compare(backfill=False)

    def test_backfill_jobs_keep_the_promises_when_the_schedule_changes(self):
        self.compare(backfill=True, change=another_schedule)

    def test_plain_jobs_keep_the_promises_when_the_schedule_changes(self):
        self.compare(backfill=False, change=another_schedule)

    def compare(self, backfill, change=None):
        for number in range(self.number):
            with self.subTest(number):
                history = a_history(self.chance, backfill, change or changed)
                self.assertEqual(by_rules(history), by_model(history), history)


def by_model(history):
    """Return the dates that each start runs."""
    state, runs = date_model.State(), []
    for now, job, failing in history:
        state, dates = date_model.start(state, job, now, failing)
        runs.append(dates)
    return runs


def by_rules(history):
    job_class = SimulatedBackfillJob if history[0].job.backfill else SimulatedJob
    simulated, runs = job_class(None, None), []
    for now, job, failing in history:
        simulated.schedule, simulated.zone = Schedule(job.interval, job.time, job.cron), job.zone
        runs.append(_backfilled(simulated, now, failing) if job.backfill else _plain(simulated, now, failing))
    return runs


def _backfilled(simulated, now, failing):
    dates = []

    def fate(date):
        dates.append(date.astimezone(UTC))  # In an overlap, it equals no moment in another zone.
        return "fails" if len(dates) - 1 == failing else "succeeds"

    simulated.tick(now, fate)
    return dates


def _plain(simulated, now, failing):
    return [now] if simulated.tick(now, failing == 0) else []


def a_history(chance, backfill, change):
    job = date_model.Job(an_interval(chance), a_time(chance), chance.choice(ZONES), backfill)
    if change is not changed:
        job = change(chance, job)
    now = a_moment(chance)
    history = []
    for _ in range(chance.randint(5, 40)):
        history.append(Start(now, job, chance.choice([None, None, None, 0, 1])))
        now = (now + chance.choice(APART) * chance.uniform(0.5, 1.5)).replace(microsecond=0)
        if chance.random() < 0.15:
            job = change(chance, job)
    return history


def changed(chance, job):
    """Return a job after a change of its zone, its time, its interval, or all of them."""
    change = {"zone": chance.choice(ZONES), "time": a_time(chance), "interval": an_interval(chance)}
    if job.backfill and chance.random() < 0.3:
        change |= {"time": None, "interval": chance.choice([6 * HOUR, DAY, 36 * HOUR])}
    if chance.random() < 0.8 and change["time"] is not None:
        names = ["zone", "time", "interval"] if job.time else ["zone"]
        change = {name: change[name] for name in [chance.choice(names)]}
    return job._replace(**change)


def another_schedule(chance, job):
    """Return a job after a change from one kind of schedule to another: an interval, a time of day, a cron expression."""
    kinds = [
        {"interval": chance.choice([HOUR, 12 * HOUR, DAY])},
        {"interval": an_interval(chance), "time": a_time(chance)},
        {"interval": timedelta(0), "cron": chance.choice(EXPRESSIONS)},
    ]
    # cronsim misses slots where the clocks go back by half an hour.
    zones = [zone for zone in ZONES if zone.key != "Australia/Lord_Howe"]
    zone = job.zone if job.zone in zones and chance.random() < 0.8 else chance.choice(zones)
    return job._replace(**{"time": None, "cron": "", "zone": zone} | chance.choice(kinds))


def an_interval(chance):
    return chance.choice([1, 1, 1, 2, 7]) * DAY


def a_time(chance):
    return chance.choice([*TIMES, time(chance.randrange(24), chance.randrange(60))])


def a_moment(chance):
    eventful = chance.choice(EVENTFUL) + chance.uniform(0, 4) * DAY
    anywhere = datetime(2024, 1, 1) + chance.uniform(0, 730) * DAY
    return chance.choice([eventful, anywhere]).replace(microsecond=0, tzinfo=UTC)
