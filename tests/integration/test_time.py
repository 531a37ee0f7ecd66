"""Real crontabber processes over days and years, started late by a crontab, with a server in any time zone."""

import os
import random
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from tests.integration.simulator import SimulatedCrontab

UTC = timezone.utc
DAY = timedelta(days=1)


class TestJitter(SimulatedCrontab):
    hours = 2

    def test_no_run_is_lost_in_late_ticks_behind_a_slow_job(self):
        seed = int(os.environ.get("CRONTABBER_TEST_SEED", random.randrange(2**32)))
        print(f"CRONTABBER_TEST_SEED={seed}")
        chance = random.Random(seed)
        self.ini("timed.Earlier|5m\ntimed.Five|5m\ntimed.Ten|10m\ntimed.Hourly|1h")
        start = datetime(2030, 3, 1, 12, 0, tzinfo=UTC)

        for number in range(self.hours * 12):
            (self.folder / "seconds").write_text(str(chance.randint(0, 90)))
            # The time that the process itself takes to start is added to this.
            self.tick(start + number * timedelta(minutes=5) + timedelta(seconds=chance.randint(0, 50)))

        runs = [name for name, _ in self.ran()]
        self.assertEqual({name: runs.count(name) for name in ("five", "ten", "hourly")},
                         {"five": self.hours * 12, "ten": self.hours * 6, "hourly": self.hours})


class TestTimesOfDay(SimulatedCrontab):
    def test_they_are_in_the_servers_zone_whatever_it_is(self):
        zones = {
            "America/Los_Angeles": ZoneInfo("America/Los_Angeles"),
            "Asia/Kolkata": ZoneInfo("Asia/Kolkata"),
            "Australia/Lord_Howe": ZoneInfo("Australia/Lord_Howe"),
            "Africa/Casablanca": ZoneInfo("Africa/Casablanca"),
            "<-03>+03": timezone(timedelta(hours=-3)),
        }
        for name, zone in zones.items():
            with self.subTest(name):
                self.empty_the_database()
                self.server_zone(name)
                self.ini("timed.Nightly|1d|21:30")
                due = datetime(2030, 6, 3, 21, 30, tzinfo=zone)

                for day in range(3):
                    for late in (-timedelta(minutes=4), timedelta(seconds=20), timedelta(minutes=5, seconds=3)):
                        self.tick(due + day * DAY + late)

                moments = [moment for _, moment in self.ran()]
                self.assertEqual([moment.astimezone(zone).date() for moment in moments],
                                 [(due + day * DAY).date() for day in range(3)])
                for moment in moments:
                    self.assertLess(moment.astimezone(zone) - due.replace(day=moment.astimezone(zone).day), timedelta(minutes=2))

    def test_a_change_of_the_clocks_loses_no_run(self):
        self.server_zone("America/Los_Angeles")
        zone = ZoneInfo("America/Los_Angeles")
        self.ini("timed.Nightly|1d|02:30")
        # Clocks go from 02:00 to 03:00 on 10 March 2030, and from 02:00 back to 01:00 on 3 November.
        self.tick(datetime(2030, 3, 9, 2, 30, 10, tzinfo=zone))
        self.ran()

        self.tick(datetime(2030, 3, 10, 1, 59, 50, tzinfo=zone))
        self.assertEqual(self.ran(), [])
        self.tick(datetime(2030, 3, 10, 3, 0, 5, tzinfo=zone))
        self.assertEqual(len(self.ran()), 1)
        self.assertEqual(self.row("nightly", "next_run"), datetime(2030, 3, 11, 2, 30, tzinfo=zone).astimezone(UTC))

    def test_a_job_that_fails_across_midnight_runs_again_that_day(self):
        self.server_zone("Europe/Berlin")
        zone = ZoneInfo("Europe/Berlin")
        self.ini("timed.Nightly|1d|21:00")
        self.failing("nightly")
        self.tick(datetime(2030, 5, 1, 21, 0, 5, tzinfo=zone))
        self.tick(datetime(2030, 5, 1, 23, 55, 5, tzinfo=zone))
        self.failing()

        self.tick(datetime(2030, 5, 2, 0, 10, 5, tzinfo=zone))
        self.tick(datetime(2030, 5, 2, 20, 55, 5, tzinfo=zone))
        self.tick(datetime(2030, 5, 2, 21, 0, 5, tzinfo=zone))

        self.assertEqual([f"{moment.astimezone(zone):%d %H:%M}" for _, moment in self.ran()], ["02 00:10", "02 21:00"])

    def test_a_weekly_job_keeps_its_weekday_through_failures_and_downtime(self):
        self.server_zone("Asia/Kolkata")
        zone = ZoneInfo("Asia/Kolkata")
        self.ini("timed.Weekly|7d|03:00")
        monday = datetime(2030, 4, 1, 3, 0, 10, tzinfo=zone)
        self.tick(monday)
        self.failing("weekly")
        self.tick(monday + 7 * DAY)
        self.failing()

        self.tick(monday + 8 * DAY)      # the retry, on a Tuesday
        self.tick(monday + 13 * DAY)     # not due
        self.failing("weekly")
        self.tick(monday + 14 * DAY)     # fails again
        self.failing()
        self.tick(monday + 30 * DAY)     # back after two weeks off, on a Wednesday
        self.tick(monday + 34 * DAY)     # not due
        self.tick(monday + 35 * DAY)

        days = [(moment - monday) // DAY for _, moment in self.ran()]
        self.assertEqual(days, [0, 8, 30, 35])


class TestBackfill(SimulatedCrontab):
    def test_missed_dates_run_once_each_and_a_failing_date_is_retried(self):
        self.server_zone("America/Los_Angeles")
        zone = ZoneInfo("America/Los_Angeles")
        self.ini("timed.Dates|1d|03:00")
        first = datetime(2030, 3, 7, 3, 0, 10, tzinfo=zone)
        self.failing("dates")
        self.tick(first)
        self.failing()
        self.tick(first + timedelta(minutes=6))
        self.tick(first + 3 * DAY)
        self.failing("dates")
        self.tick(first + 4 * DAY)
        self.failing()
        self.tick(first + 9 * DAY)

        dates = [f"{date:%d %H:%M %z}" for _, date in self.ran()]
        self.assertEqual(dates, [
            "07 03:00 -0800", "08 03:00 -0800", "09 03:00 -0800", "10 03:00 -0700", "11 03:00 -0700", "12 03:00 -0700",
            "13 03:00 -0700", "14 03:00 -0700", "15 03:00 -0700", "16 03:00 -0700",
        ])

    def test_six_years_of_missed_hours_resume_after_a_stop(self):
        self.ini("timed.Dates|1h")
        start = datetime(2024, 1, 1, 0, 0, tzinfo=UTC)
        self.sql("CREATE TABLE crontabber (app_name text NOT NULL, next_run timestamptz, first_run timestamptz,"
                 " last_run timestamptz, last_success timestamptz, error_count integer DEFAULT 0, depends_on text[],"
                 " last_error json, ongoing timestamptz)")
        self.sql("INSERT INTO crontabber VALUES ('dates', %s, %s, %s, %s)", (start, start, start, start))

        for _ in range(2):
            process = self.start()
            deadline = datetime.now() + timedelta(seconds=20)
            seen = self.row("dates", "last_success")
            while self.row("dates", "last_success") < seen + timedelta(hours=20):
                self.assertLess(datetime.now(), deadline, "the dates did not start")
            process.terminate()
            self.assertEqual(process.wait(10), 143)

            dates = [date for _, date in self.ran()]
            self.assertEqual(dates, [seen + (n + 1) * timedelta(hours=1) for n in range(len(dates))])
            # The signal may come after a date is noted and before its run has ended: then that date is still missing.
            self.assertIn(self.row("dates", "last_success"), dates[-2:])
            self.due("dates")


class TestSlowJobs(SimulatedCrontab):
    def test_a_child_is_not_starved_by_a_slow_job_in_between(self):
        self.ini("timed.Parent|5m\ntimed.Earlier|5m\ntimed.Child|5m")
        (self.folder / "seconds").write_text("400")

        self.tick(datetime(2030, 3, 1, 12, 0, 10, tzinfo=UTC))

        self.assertEqual([name for name, _ in self.ran()], ["a-parent", "child"])
        (took,) = self.sql("SELECT duration FROM crontabber_log WHERE app_name = 'a-slow-one'")[0]
        self.assertGreaterEqual(took, timedelta(seconds=399))
