"""Shared by the tests of the modes: jobs of every kind, and checks of what the real command prints."""

import psycopg2

from tests.support import DatabaseTestCase, connection_options

JOBS = r'''
from crontabber.base import BaseCronApp
from crontabber.mixins import as_backfill_cron_app
from tests import jobs


class Noting(jobs.Noting):
    def what_to_note(self, *arguments):
        return self.app_name + (" the first time" if self.job_information is None else " again")


class Foo(Noting):
    app_name = "foo"


class Bar(Noting):
    app_name = "bar"
    depends_on = "foo"


class Sad(Noting):
    app_name = "sad"

    def run(self):
        super().run()
        raise ValueError("No more tissues")


class SadChild(Noting):
    app_name = "sad-child"
    depends_on = ["sad"]


@as_backfill_cron_app
class Back(Noting):
    app_name = "back"


@as_backfill_cron_app
class SadBack(Sad):
    app_name = "sad-back"

    def run(self, date):
        super().run()


class Rude(BaseCronApp):
    app_name = "rude"

    def run(self):
        raise RuntimeError("a|b\nc\x1b[31m\x00")


class Loud(BaseCronApp):
    app_name = "loud"

    def run(self):
        raise RuntimeError("x" * 1_000_000)
'''
# Where no server listens.
NOWHERE = {"host": "127.0.0.1", "port": "1", "dbname": "nothing", "user": "nobody"}


class ModeTestCase(DatabaseTestCase):
    maxDiff = None

    def setUp(self):
        super().setUp()
        self.write_module("nightly", JOBS)

    def assert_said(self, process, exit_code, stdout, stderr=""):
        self.assertEqual((process.returncode, process.stdout, process.stderr), (exit_code, stdout, stderr))

    def reader(self):
        """Return the connection options of a role that may only SELECT from the existing tables."""
        self._drop_reader()
        try:
            self.sql("CREATE ROLE crontabber_reader LOGIN PASSWORD 'reading'")
        except psycopg2.errors.InsufficientPrivilege:
            self.skipTest("the role of test-crontabber.ini may not create roles")
        self.addCleanup(self._drop_reader)
        self.sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO crontabber_reader")
        return connection_options() | {"user": "crontabber_reader", "password": "reading"}

    def _drop_reader(self):
        if self.sql("SELECT 1 FROM pg_roles WHERE rolname = 'crontabber_reader'"):
            self.sql("DROP OWNED BY crontabber_reader")
            self.sql("DROP ROLE crontabber_reader")
