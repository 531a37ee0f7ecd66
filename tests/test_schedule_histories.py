"""Random histories of jobs with a time of day: failures, kills, downtime, rare ticks, other zones, other times."""

import os
import random
import unittest
from datetime import datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

from crontabber.rules.backfill import calendar_date
from crontabber.rules.local_time import local_date, moment_on
from crontabber.rules.schedule import Schedule
from tests.schedule_simulation import SimulatedBackfillJob, SimulatedJob

UTC = timezone.utc
DAY = timedelta(days=1)
ZONES = [
    ZoneInfo(name)
    for name in (
        "UTC", "Europe/Berlin", "America/Los_Angeles", "Australia/Lord_Howe", "America/Nuuk", "Asia/Beirut",
        "Pacific/Kiritimati", "Pacific/Pago_Pago",
    )
]  # fmt: skip
TIMES = [time(0, 0), time(0, 30), time(2, 30), time(12, 0), time(21, 0), time(23, 30), time(23, 58)]
# How far apart ticks are: as usual, hourly, with the machine off for days.
APART = [timedelta(minutes=5), timedelta(hours=1), timedelta(hours=7), DAY, 3 * DAY, 20 * DAY]


class NotingDates(SimulatedBackfillJob):
    """Notes the calendar dates of its runs, and those that it has tried."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.days = []

    def _store(self, date):
        super()._store(date)
        self.days.append(calendar_date(self.schedule.at, date, self.zone))


class TestExample(unittest.TestCase):
    def test_the_example_in_the_docs_gets_these_dates(self):
        utc, tokyo = ZoneInfo("UTC"), ZoneInfo("Asia/Tokyo")
        job = SimulatedBackfillJob(Schedule(DAY, time(23, 58)), utc)
        table = [
            (datetime(2030, 3, 26, 12), "23:58", utc, []),
            (datetime(2030, 3, 26, 23, 55), "23:58", utc, []),
            (datetime(2030, 3, 27), "23:58", utc, ["26 23:58 UTC"]),
            (datetime(2030, 3, 28), "23:58", utc, ["27 23:58 UTC"]),
            (datetime(2030, 3, 30, 12), "23:58", utc, ["28 23:58 UTC", "29 23:58 UTC"]),
            (datetime(2030, 3, 31), "12:00", utc, ["30 12:00 UTC"]),
            (datetime(2030, 3, 31, 12), "12:00", utc, ["31 12:00 UTC"]),
            (datetime(2030, 4, 1, 3), "12:00", tokyo, []),
            (datetime(2030, 4, 1, 12), "12:00", tokyo, ["01 12:00 JST"]),
        ]
        for moment, at, zone, expected in table:
            with self.subTest(moment):
                job.schedule, job.zone, job.runs = Schedule(DAY, time.fromisoformat(at)), zone, []
                job.tick(moment.replace(tzinfo=UTC))
                self.assertEqual([f"{date:%d %H:%M %Z}" for date in job.runs], expected)


class TestHistories(unittest.TestCase):
    number = 300

    def setUp(self):
        seed = int(os.environ.get("CRONTABBER_TEST_SEED", random.randrange(2**32)))
        print(f"CRONTABBER_TEST_SEED={seed}")
        self.chance = random.Random(seed)

    def test_no_calendar_date_is_doubled_or_missing(self):
        for number in range(self.number):
            with self.subTest(number):
                job, seen_on, now = self.history()
                every, at = job.schedule.every, job.schedule.at
                count = len(job.days)
                self.assertEqual(job.days, [job.days[0] + n * every for n in range(count)])
                self.assertGreater(moment_on(job.days[-1] + every, at, job.zone), now)
                if seen_on is not None:
                    self.assertEqual(job.days[0], seen_on)

    def test_a_first_run_comes_however_rare_the_ticks(self):
        for number in range(self.number):
            with self.subTest(number):
                job = SimulatedJob(Schedule(DAY, self.chance.choice(TIMES)), self.chance.choice(ZONES))
                now = self.a_moment()
                slot = moment_on(local_date(now, job.zone), job.schedule.at, job.zone)
                apart = self.chance.choice(APART)
                while not job.tick(now):
                    self.assertLess(now, slot)
                    now += apart

    def history(self):
        """Return a job after its history, the date on which it was first seen, and the time of its last tick.

        The date is None if the zone or the time has changed before the first date was done.
        """
        chance = self.chance
        job = NotingDates(Schedule(chance.choice([1, 1, 1, 2, 7]) * DAY, chance.choice(TIMES)), chance.choice(ZONES))
        now = self.a_moment()
        seen_on = local_date(now, job.zone)
        for _ in range(chance.randint(5, 40)):
            job.tick(now, lambda date: chance.choice(["succeeds", "succeeds", "succeeds", "fails", "before", "after"]))
            now += chance.choice(APART) * chance.uniform(0.5, 1.5)
            if chance.random() < 0.15:
                job.zone = chance.choice([job.zone, *ZONES])
                job.schedule = job.schedule._replace(at=chance.choice([job.schedule.at, *TIMES]))
                seen_on = seen_on if job.days else None
        # A run that is planned for the old time comes at the old time: wait for it, and for a retry.
        for _ in range(3):
            now += max(job.schedule.every, 3 * DAY)
            job.tick(now)
        return job, seen_on, now

    def a_moment(self):
        return datetime(2024, 1, 1, tzinfo=UTC) + self.chance.uniform(0, 730) * DAY
