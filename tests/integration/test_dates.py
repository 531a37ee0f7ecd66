"""Which dates jobs with a time of day get, by real processes: late first runs, other times, other zones."""

import os
import random
from datetime import date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from tests.integration.simulator import SimulatedCrontab
from tests.support import connection_options

UTC = timezone.utc
DAY = timedelta(days=1)
TOKYO = ZoneInfo("Asia/Tokyo")
NOTES = "SELECT app_name, first_slot, last_date, last_date_for FROM crontabber_job ORDER BY 1"
ONE_TRANSACTION = """
import random
from pathlib import Path

from crontabber.mixins import as_backfill_cron_app, as_single_postgres_transaction, using_postgres
from tests import jobs


@using_postgres()
@as_single_postgres_transaction()
class Nightly(jobs.Noting):
    app_name = "nightly"

    def run(self, connection):
        connection.cursor().execute("INSERT INTO effects VALUES (NULL)")


@using_postgres()
@as_single_postgres_transaction()
@as_backfill_cron_app
class Dates(jobs.Noting):
    app_name = "dates"

    def run(self, connection, date):
        connection.cursor().execute("INSERT INTO effects VALUES (%s)", (f"{date:%d %H:%M}",))


class Moody(Dates):
    app_name = "moody"

    def run(self, connection, date):
        connection.cursor().execute("INSERT INTO effects VALUES (%s)", (f"{date:%Y-%m-%d}",))
        if Path("failing").exists() and random.random() < 0.4:
            raise RuntimeError("as asked")


class Guest(Dates):
    app_name = "guest"

    def run(self, connection, date):
        super().run(connection, date)
        connection.cursor().execute("SET ROLE dates_guest")
"""


class DatesTestCase(SimulatedCrontab):
    def dates(self):
        return [f"{moment:%d %H:%M}" for name, moment in self.ran() if name == "dates"]

    def notes(self):
        return self.sql(NOTES)


class TestFirstRuns(DatesTestCase):
    def test_an_hourly_cron_serves_half_past_eleven_at_midnight(self):
        self.ini("timed.Nightly|1d|23:30\ntimed.Weekly|7d|23:30\ntimed.Dates|1d|23:30")
        seen = datetime(2030, 3, 26, 22, 0, 5, tzinfo=UTC)
        slot = datetime(2030, 3, 26, 23, 30, tzinfo=UTC)

        self.tick(seen)
        self.assertEqual((self.ran(), self.notes()), ([], [(name, slot, None, None) for name in ("dates", "nightly", "weekly")]))
        self.tick(seen + timedelta(hours=1))
        self.assertEqual(self.ran(), [])
        self.tick(seen + timedelta(hours=2))

        self.assertEqual([name for name, _ in sorted(self.ran())], ["dates", "nightly", "weekly"])
        self.assertEqual(self.notes(), [("dates", None, date(2030, 3, 26), slot)])
        next_runs = self.sql("SELECT app_name, next_run FROM crontabber ORDER BY 1")
        self.assertEqual(next_runs, [("dates", slot + DAY), ("nightly", slot + DAY), ("weekly", slot + 7 * DAY)])

    def test_a_date_that_ends_just_before_midnight_comes_just_after_it(self):
        self.ini("timed.Dates|1d|23:58")
        midnight = datetime(2030, 3, 27, 0, 0, 5, tzinfo=UTC)

        for moment in (-timedelta(minutes=5), timedelta(0), timedelta(minutes=5), DAY - timedelta(minutes=5), DAY):
            self.tick(midnight + moment)

        self.assertEqual(self.dates(), ["26 23:58", "27 23:58"])

    def test_a_first_date_that_fails_is_tried_again(self):
        self.ini("timed.Dates|1d|23:30")
        self.failing("dates")
        midnight = datetime(2030, 3, 27, 0, 0, 5, tzinfo=UTC)
        self.tick(midnight - timedelta(hours=1))
        self.tick(midnight)
        self.failing()

        self.tick(midnight + 2 * DAY)

        self.assertEqual(self.dates(), ["26 23:30", "27 23:30", "28 23:30"])

    def test_the_slot_is_noted_anew_when_time_or_zone_change(self):
        noon = datetime(2030, 3, 26, 12, 0, 5, tzinfo=UTC)
        for time, zone, slot in (("23:30", "UTC", 0), ("22:00", "UTC", -90), ("22:00", "Europe/Berlin", -150)):
            with self.subTest(time, zone=zone):
                self.server_zone(zone)
                self.ini(f"timed.Nightly|1d|{time}")
                self.tick(noon)
                expected = datetime(2030, 3, 26, 23, 30, tzinfo=UTC) + timedelta(minutes=slot)
                self.assertEqual(self.notes(), [("nightly", expected, None, None)])
                self.ini(f"timed.Nightly|1d|{time}\ntimed.Weekly|1d")
                self.tick(noon)
                self.assertEqual(self.notes(), [("nightly", expected, None, None)])

    def test_a_reset_forgets_what_is_noted(self):
        self.ini("timed.Dates|1d|03:00\ntimed.Nightly|1d|23:30")
        self.tick(datetime(2030, 3, 26, 12, tzinfo=UTC))
        self.assertEqual([row[0] for row in self.notes()], ["dates", "nightly"])

        for name, said in (("dates", "App reset"), ("nightly", "App already reset")):
            self.assertIn(said, self.crontabber(f"--reset-job={name}").stderr)

        self.assertEqual(self.notes(), [])

    def test_a_first_run_in_the_jobs_own_transaction_drops_its_note(self):
        self.sql("CREATE TABLE effects (day text, id serial)")
        self.write_module("single", ONE_TRANSACTION)
        self.ini("single.Nightly|1d|03:00")

        self.tick(datetime(2030, 3, 26, 12, tzinfo=UTC))

        self.assertEqual((self.sql("SELECT count(*) FROM effects"), self.notes()), ([(1,)], []))


class TestChanges(DatesTestCase):
    def test_neither_zones_nor_times_double_or_skip_a_date(self):
        noon = datetime(2030, 3, 10, 12, 0, 5, tzinfo=UTC)
        changes = [("UTC", "12:00"), ("Asia/Tokyo", "12:00"), ("America/Los_Angeles", "12:00"), ("America/Los_Angeles", "23:58"), ("UTC", "00:00")]
        for number, (zone, time) in enumerate(changes):
            self.server_zone(zone)
            self.ini(f"timed.Dates|1d|{time}")
            self.tick(noon + number * 2 * DAY)
        self.tick(noon + 9 * DAY)

        self.assertEqual(self.dates(), [
            "10 12:00", "11 12:00", "12 12:00", "13 12:00", "14 23:58", "15 23:58", "16 00:00", "17 00:00", "18 00:00", "19 00:00",
        ])  # fmt: skip

    def test_the_same_holds_exactly_once_in_one_transaction(self):
        self.sql("CREATE TABLE effects (day text, id serial)")
        self.write_module("single", ONE_TRANSACTION)
        noon = datetime(2030, 3, 10, 12, 0, 5, tzinfo=UTC)
        for number, zone in enumerate(("Asia/Tokyo", "UTC", "Pacific/Pago_Pago", "Asia/Tokyo")):
            self.server_zone(zone)
            self.ini("single.Dates|1d|12:00")
            self.tick(noon + number * 2 * DAY)

        days = [day for (day,) in self.sql("SELECT day FROM effects ORDER BY id")]
        self.assertEqual(days, [f"{day} 12:00" for day in range(10, 17)])
        self.assertEqual(self.notes(), [("dates", None, date(2030, 3, 16), datetime(2030, 3, 16, 12, tzinfo=TOKYO))])

    def test_a_success_that_someone_else_stores_counts_from_then_on(self):
        self.ini("timed.Dates|1d|12:00")
        noon = datetime(2030, 3, 10, 12, 0, 5, tzinfo=UTC)
        self.tick(noon)
        self.sql("UPDATE crontabber SET last_success = last_success + interval '1 day', next_run = next_run + interval '1 day'")

        self.tick(noon + 2 * DAY)

        self.assertEqual(self.dates(), ["10 12:00", "12 12:00"])

    def test_a_role_of_the_transaction_without_the_table_keeps_exactly_once(self):
        self.sql("CREATE TABLE effects (day text, id serial)")
        self.write_module("single", ONE_TRANSACTION)
        noon = datetime(2030, 3, 10, 12, 0, 5, tzinfo=UTC)
        self.ini("single.Guest|1d|12:00")
        self.sql("CREATE ROLE dates_guest")
        self.addCleanup(self.sql, "DROP OWNED BY dates_guest; DROP ROLE dates_guest")
        self.tick(noon - timedelta(hours=1))
        self.sql("GRANT SELECT, INSERT, UPDATE, DELETE ON crontabber, crontabber_log TO dates_guest;"
                 " GRANT USAGE ON SEQUENCE crontabber_log_id_seq TO dates_guest")

        tick = self.tick(noon)

        self.assertNotIn("stored after its transaction", tick.stderr)
        self.assertEqual(self.row("guest", "last_success"), datetime(2030, 3, 10, 12, tzinfo=UTC))


class TestHistory(DatesTestCase):
    """The random histories of test_schedule_histories.py, with real processes and a real database."""

    ticks = 5

    def test_each_date_takes_effect_exactly_once(self):
        seed = int(os.environ.get("CRONTABBER_TEST_SEED", random.randrange(2**32)))
        print(f"CRONTABBER_TEST_SEED={seed}")
        chance = random.Random(seed)
        self.sql("CREATE TABLE effects (day text, id serial)")
        self.write_module("single", ONE_TRANSACTION)
        now = datetime(2030, 3, 1, 12, 0, 5, tzinfo=UTC)
        self.failing()

        for _ in range(self.ticks):
            zone = chance.choice(["UTC", "Asia/Tokyo", "America/Los_Angeles", "Pacific/Kiritimati", "Europe/Berlin"])
            at = chance.choice(["00:00", "02:30", "12:00", "21:00", "23:58"])
            self.server_zone(zone)
            self.ini(f"single.Moody|1d|{at}")
            for _ in range(chance.randint(1, 3)):
                self.tick(now)
                now += chance.choice([timedelta(minutes=6), timedelta(hours=7), DAY, 3 * DAY])
        (self.folder / "failing").unlink()
        # A run that is planned for the old time comes at the old time: wait for it.
        for _ in range(2):
            now += 3 * DAY
            self.tick(now)

        days = [date.fromisoformat(day) for (day,) in self.sql("SELECT day FROM effects ORDER BY id")]
        self.assertEqual(days, [days[0] + n * DAY for n in range(len(days))])
        following = datetime.combine(days[-1] + DAY, datetime.strptime(at, "%H:%M").time(), ZoneInfo(zone))
        self.assertGreater(following, now)


class TestWithoutTheTable(DatesTestCase):
    """A role that may neither create crontabber_job nor use it runs jobs as version 1.0 did."""

    def setUp(self):
        super().setUp()
        self.ini("timed.Nightly|1d|03:00\ntimed.Dates|1d|23:58")
        self.noon = datetime(2030, 3, 26, 12, 0, 5, tzinfo=UTC)
        self.tick(self.noon)
        self.sql("CREATE ROLE dates_worker LOGIN PASSWORD 'worker'")
        self.addCleanup(self.sql, "DROP OWNED BY dates_worker; DROP ROLE dates_worker")
        self.sql("GRANT SELECT, INSERT, UPDATE, DELETE ON crontabber, crontabber_log TO dates_worker;"
                 " GRANT USAGE ON SEQUENCE crontabber_log_id_seq TO dates_worker")
        options = connection_options() | {"user": "dates_worker", "password": "worker"}
        self.ini("timed.Nightly|1d|03:00\ntimed.Dates|1d|23:58", connection=options)
        self.ran()

    def test_its_jobs_run_whether_the_table_is_there_or_not(self):
        for number in range(2):
            with self.subTest(number):
                tick = self.tick(self.noon + number * DAY + timedelta(hours=12))
                self.assertEqual(self.dates(), [f"{26 + number} 23:58"])
                self.assertNotIn("Creating", tick.stderr)
                self.sql("DROP TABLE IF EXISTS crontabber_job")

    def test_every_other_mode_works(self):
        for _ in range(2):
            self.assertEqual(self.crontabber("--nagios").stdout, "OK - All systems nominal\n")
            self.assertIn("App name:       nightly\n", self.crontabber("--list-jobs").stdout)
            self.assertEqual(self.crontabber("--audit-ghosts").stdout, "")
            self.assertIn("App", self.crontabber("--reset-job=dates").stderr)
            self.sql("DROP TABLE IF EXISTS crontabber_job")
