"""crontabber_log says for which date a run was, and on which host, also of failures and deaths."""

import signal
import socket
from datetime import datetime, timezone

from tests.integration.mode_case import ModeTestCase

HOST = socket.gethostname()
FAILING = """
import os, signal
from crontabber.base import BaseCronApp
from crontabber.mixins import as_backfill_cron_app, as_single_postgres_transaction, using_postgres


@as_backfill_cron_app
class Dates(BaseCronApp):
    app_name = "dates"

    def run(self, date):
        if date.day == 3:
            if os.path.exists("deadly"):
                os.kill(os.getpid(), signal.SIGKILL)
            raise ValueError(date)


@using_postgres()
@as_single_postgres_transaction()
@as_backfill_cron_app
class Within(BaseCronApp):
    app_name = "within"

    def run(self, connection, date):
        pass
"""
SINCE = "INSERT INTO crontabber (app_name, first_run, last_run, last_success, next_run) VALUES (%s, %s, %s, %s, now())"


def day(number):
    return datetime(2026, 1, number, tzinfo=timezone.utc)


class TestLog(ModeTestCase):
    def setUp(self):
        super().setUp()
        self.write_module("failing", FAILING)

    def start_from(self, app_name, moment, job, **ini):
        """Let the job's last date be that one."""
        self.ini("nightly.Foo|1d")
        self.crontabber()
        self.sql("DELETE FROM crontabber_log")
        self.sql(SINCE, (app_name, moment, moment, moment))
        self.ini(job, **ini)

    def logged(self):
        return self.sql("SELECT slot, host, exc_type IS NULL FROM crontabber_log ORDER BY id")

    def test_each_date_of_a_backfill_is_there_with_the_one_that_failed(self):
        self.start_from("dates", day(1), "failing.Dates|1d")

        self.crontabber()

        self.assertEqual(self.logged(), [(day(2), HOST, True), (day(3), HOST, False)])

    def test_a_success_inside_the_transaction_of_the_job_has_its_date(self):
        self.start_from("within", day(1), "failing.Within|300d")

        self.crontabber()

        self.assertEqual(self.logged(), [(datetime(2026, 10, 28, tzinfo=timezone.utc), HOST, True)])

    def test_a_death_has_the_date_and_the_host_of_the_dead(self):
        self.start_from("dates", day(1), "failing.Dates|1d")
        (self.folder / "deadly").touch()
        self.assertEqual(self.crontabber().returncode, -signal.SIGKILL)
        (self.folder / "deadly").unlink()

        self.crontabber()

        self.assertEqual(self.logged(), [(day(2), HOST, True), (day(3), HOST, False), (day(3), HOST, False)])

    def test_a_plain_job_is_for_no_date(self):
        self.ini("nightly.Foo|1d|00:00\nnightly.Sad|1d")

        self.crontabber()

        self.assertEqual(self.logged(), [(None, HOST, True), (None, HOST, False)])

    def test_a_role_that_may_not_add_the_columns_runs_jobs_without_them(self):
        self.ini("nightly.Foo|1d")
        self.crontabber()
        self.sql("ALTER TABLE crontabber_log DROP COLUMN slot, DROP COLUMN host")
        worker = self.reader()
        self.sql("GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO crontabber_reader")
        self.sql("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO crontabber_reader")
        self.due("foo")
        self.ini("nightly.Foo|1d\nnightly.Sad|1d\nnightly.Back|1d", connection=worker)

        ticks = [self.crontabber(), self.crontabber("--logging.stderr_error_logging_level=10")]

        self.assertEqual([tick.returncode for tick in ticks], [0, 0], ticks[0].stderr)
        self.assertEqual(self.sql("SELECT count(*) FROM crontabber_log"), [(4,)])
        self.assertIn("ALTER TABLE crontabber_log ADD COLUMN slot timestamptz; ALTER TABLE", ticks[1].stderr)

    def test_the_owner_of_the_table_adds_them_at_the_next_tick(self):
        self.ini("nightly.Foo|1d")
        self.crontabber()
        self.sql("ALTER TABLE crontabber_log DROP COLUMN slot, DROP COLUMN host")
        self.due("foo")

        tick = self.crontabber()

        self.assertIn("INFO - Creating crontabber_log column: slot\n", tick.stderr)
        self.assertEqual(self.logged(), [(None, None, True), (None, HOST, True)])
