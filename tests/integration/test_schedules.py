"""Cron expressions and time zones in real ticks."""

import re
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from tests.integration.mode_case import ModeTestCase

UTC = timezone.utc
DAY = timedelta(days=1)

JOBS = """
from crontabber.mixins import as_backfill_cron_app
from tests.jobs import Noting


class Plain(Noting):
    app_name = "plain"


@as_backfill_cron_app
class Dated(Noting):
    app_name = "dated"

    def what_to_note(self, date):
        return date.isoformat()
"""


class ScheduleTestCase(ModeTestCase):
    def setUp(self):
        super().setUp()
        self.write_module("schedules", JOBS)
        self.midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)

    def tick(self):
        process = self.crontabber("--logging.stderr_error_logging_level=30")
        self.assertEqual((process.returncode, process.stdout), (0, ""))
        return process.stderr


class TestCron(ScheduleTestCase):
    def test_the_first_run_waits_for_its_slot_which_is_noted(self):
        self.ini("schedules.Plain|0 0 1 * *\nschedules.Dated|@yearly")

        self.assertEqual(self.tick(), "")

        self.assertEqual(self.ran(), [])
        noted = dict(self.sql("SELECT app_name, first_slot FROM crontabber_job"))
        first_of_month = (self.midnight.replace(day=1) + 32 * DAY).replace(day=1)
        self.assertEqual(noted, {"plain": first_of_month, "dated": datetime(self.midnight.year + 1, 1, 1, tzinfo=UTC)})

    def test_a_slot_that_was_missed_is_run_and_the_next_one_planned(self):
        self.ini("schedules.Plain|0 0 * * *\nschedules.Dated|@daily")
        self.tick()
        self.sql("UPDATE crontabber_job SET first_slot = %s", (self.midnight - DAY,))

        self.tick()

        self.assertEqual(self.ran(), [*sorted([(self.midnight - DAY).isoformat(), self.midnight.isoformat()]), "plain"])
        for name in ("plain", "dated"):
            self.assertEqual(self.row(name, "next_run"), self.midnight + DAY)
        self.assertEqual(self.row("dated", "last_success"), self.midnight)
        self.assertEqual(self.tick(), "")
        self.assertEqual(self.ran(), [])

    def test_the_reports_show_it_as_it_was_written(self):
        self.ini("schedules.Plain|0 8 * * mon,FRI|Europe/Berlin, schedules.Dated|03:00|Asia/Tokyo")

        listed = self.crontabber("--list-jobs").stdout

        self.assertEqual(re.findall("Frequency: *(.*)", listed), ["0 8 * * mon,FRI Europe/Berlin", "1d @ 03:00 Asia/Tokyo"])
        self.assert_said(self.crontabber("--configtest"), 0, "")
        self.assert_said(self.crontabber("--nagios"), 0, "OK - All systems nominal\n")

    def test_a_written_configuration_means_the_same(self):
        self.ini("schedules.Plain|0 8 * * mon,FRI|Europe/Berlin, schedules.Dated|03:00|Asia/Tokyo")
        listed = self.crontabber("--list-jobs").stdout
        for kind in ("ini", "json", "conf"):
            with self.subTest(kind):
                written = f"written.{kind}"
                self.assertEqual(self.crontabber(f"--admin.dump_conf={written}").returncode, 0)
                self.assert_said(self.crontabber("--list-jobs", ini=written), 0, listed)

    def test_a_bad_expression_stops_only_its_entry(self):
        self.ini("schedules.Plain|0 0 3 * * *\nschedules.Dated|1d")

        process = self.crontabber("--logging.stderr_error_logging_level=40")

        self.assertEqual(process.returncode, 1)
        self.assertIn("schedules.Plain: '0 0 3 * * *' has 6 fields", process.stderr)
        self.assertEqual(len(self.ran()), 1)
        self.assertEqual(self.crontabber("--nagios").returncode, 2)


class TestZones(ScheduleTestCase):
    def test_the_entry_wins_over_the_policy_and_that_over_the_server(self):
        entries = {"plain": "schedules.Plain|0 12 * * *|Asia/Tokyo", "dated": "schedules.Dated|1d|12:00"}
        for policy, of_dated in (("", UTC), ("[[policy]]\ntimezone=Europe/Berlin", ZoneInfo("Europe/Berlin"))):
            with self.subTest(policy):
                self.empty_the_database()
                self.ini("\n".join(entries.values()), policy)
                self.tick()
                hours = {}
                for name, first_slot, next_run in self.sql(
                    "SELECT app_name, first_slot, next_run FROM crontabber_job FULL JOIN crontabber USING (app_name)"
                ):
                    hours[name] = (next_run or first_slot).astimezone(of_dated if name == "dated" else ZoneInfo("Asia/Tokyo")).hour
                self.assertEqual(hours, {"plain": 12, "dated": 12})

    def test_the_dates_of_a_job_are_in_its_zone(self):
        self.ini("schedules.Dated|1d|00:00", "[[class-Dated]]\n[[[policy]]]\ntimezone=Asia/Tokyo")

        self.tick()

        today = datetime.now(ZoneInfo("Asia/Tokyo")).date()
        self.assertEqual(self.ran(), [f"{today}T00:00:00+09:00"])

    def test_an_unknown_zone_is_an_error_with_the_nearest_name(self):
        self.ini("schedules.Plain|1d", "[[policy]]\ntimezone=Europe/Berln")

        process = self.crontabber()

        self.assertEqual(process.returncode, 1)
        self.assertIn("did you mean 'Europe/Berlin'?", process.stderr)
