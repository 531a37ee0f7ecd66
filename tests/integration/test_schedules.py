"""Cron expressions, time zones and catching up in real ticks."""

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


@as_backfill_cron_app
class Failing(Dated):
    app_name = "failing"

    def run(self, date):
        super().run(date)
        raise ValueError("No more tissues")
"""


class ScheduleTestCase(ModeTestCase):
    def setUp(self):
        super().setUp()
        self.write_module("schedules", JOBS)
        self.midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)

    def done_up_to(self, app_name, moment):
        """Have a job run for the dates after this one, as if nothing had been running since."""
        self.sql("DELETE FROM crontabber WHERE app_name = %s", (app_name,))
        row = (app_name, moment, moment, moment)
        self.sql("INSERT INTO crontabber (app_name, first_run, last_run, last_success, next_run) VALUES (%s, %s, %s, %s, now())", row)

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


class TestCatchUp(ScheduleTestCase):
    def caught_up(self, entry, catchup, days=5):
        """Run a job with this limit that has been asleep for days. Return the tick's warnings."""
        self.ini(entry, f"[[policy]]\ncatchup={catchup}")
        self.tick()
        self.ran()
        self.sql("TRUNCATE crontabber_log")
        name = entry.split("|")[0].split(".")[1].lower()
        self.done_up_to(name, self.midnight - days * DAY)
        return self.tick()

    def test_the_newest_dates_run_and_the_older_ones_are_skipped_with_a_warning(self):
        for entry in ("schedules.Dated|1d|00:00", "schedules.Dated|0 0 * * *"):
            for catchup, number in (("latest", 1), ("2", 2)):
                with self.subTest(entry=entry, catchup=catchup):
                    self.empty_the_database()
                    said = self.caught_up(entry, catchup)

                    dates = [(self.midnight - days * DAY).isoformat() for days in reversed(range(number))]
                    self.assertEqual(self.ran(), dates)
                    first, last = (f"{self.midnight - days * DAY:%Y-%m-%d} 00:00:00 UTC" for days in (4, number))
                    self.assertEqual(said.split(" WARNING - ")[1], f"dated skips its dates from {first} to {last}: its policy has catchup={number}\n")
                    self.assertEqual(self.row("dated", "last_success", "next_run"), (self.midnight, self.midnight + DAY))
                    self.assertEqual(self.sql("SELECT count(*) FROM crontabber_log"), [(number,)])

    def test_a_date_that_failed_is_skipped_too_and_the_rest_stays_skipped(self):
        self.caught_up("schedules.Failing|1d|00:00", "all", days=3)
        self.assertEqual(self.ran(), [(self.midnight - 2 * DAY).isoformat()])
        self.ini("schedules.Failing|1d|00:00", "[[policy]]\ncatchup=latest")
        self.due("failing")

        said = self.tick()

        self.assertEqual(self.ran(), [self.midnight.isoformat()])
        self.assertEqual(said.count(" skips its dates "), 1)
        cursor = self.midnight - DAY
        self.assertEqual(self.row("failing", "last_success", "error_count"), (cursor, 2))
        notes = self.sql("SELECT last_date, last_date_for FROM crontabber_job")
        self.assertEqual(notes, [(cursor.date(), cursor)])
        self.due("failing")
        self.assertNotIn(" skips its dates ", self.tick())
        self.assertEqual(self.ran(), [self.midnight.isoformat()])

    def test_without_a_limit_every_date_runs(self):
        self.assertEqual(self.caught_up("schedules.Dated|1d|00:00", "all"), "")

        self.assertEqual(len(self.ran()), 5)

    def test_a_first_run_catches_up_like_any_other(self):
        self.ini("schedules.Dated|@daily", "[[policy]]\ncatchup=latest")
        self.tick()
        self.sql("UPDATE crontabber_job SET first_slot = %s", (self.midnight - 3 * DAY,))

        self.assertIn(" skips its dates ", self.tick())

        self.assertEqual(self.ran(), [self.midnight.isoformat()])
        self.assertEqual(self.row("dated", "last_success"), self.midnight)

    def test_rewinding_to_dates_that_would_be_skipped_is_refused(self):
        self.caught_up("schedules.Dated|1d|00:00", "2")
        oldest, newest = (f"{self.midnight - days * DAY:%Y-%m-%d}" for days in (4, 1))

        self.assert_said(self.crontabber("--rewind=dated", f"--to={oldest}", "--yes"), 1, "",
                         "crontabber: dated would skip some of them: its policy has catchup=2. --rerun runs them all\n")  # fmt: skip
        self.assertEqual(self.row("dated", "last_success"), self.midnight)
        self.assertEqual(self.crontabber("--rewind=dated", f"--to={newest}", "--yes").returncode, 0)
        self.assertEqual(self.row("dated", "last_success"), self.midnight - 2 * DAY)

    def test_it_explains_what_an_expression_means(self):
        self.ini("schedules.Dated|0 8 * * MON-FRI|Europe/Berlin", "[[policy]]\ncatchup=2")

        said = self.crontabber("--explain=dated").stdout

        self.assertIn("(schedules.Dated, 0 8 * * MON-FRI: At 08:00 on Monday through Friday in Europe/Berlin)", said)
        self.assertRegex(said, r"catchup +2 ")
        self.assertRegex(said, r"timezone +Europe/Berlin +\(crontabber\.jobs\)")

    def test_anything_but_all_latest_or_a_number_is_refused(self):
        for value in ("0", "-1", "newest", "1.5", "1000001"):
            with self.subTest(value):
                self.ini("schedules.Dated|1d", f"[[policy]]\ncatchup={value}")
                process = self.crontabber()
                self.assertEqual(process.returncode, 1)
                self.assertIn("catchup", process.stderr)
