"""Users' own classes for the state and for the connections, named in the ini file, in real processes."""

import signal

from tests.integration.mode_case import JOBS, NOWHERE, ModeTestCase
from tests.support import connection_options

STATE = '''
from configman import Namespace
from crontabber.app import JobStateDatabase


class Noted(JobStateDatabase):
    required_config = Namespace()
    required_config.add_option("notes", default="notes.txt", doc="where to note what happens to the state")

    def __init__(self, config):
        super().__init__(config)
        self.note("built")

    def pop(self, app_name, *default):
        self.note("pop " + app_name)
        return super().pop(app_name, *default)

    def note(self, text):
        with open(self.config.notes, "a") as notes:
            notes.write(text + "\\n")
'''

CONNECTIONS = '''
from contextlib import contextmanager

import psycopg2
from configman import Namespace, RequiredConfig
from crontabber.base import BaseCronApp
from crontabber.connection_factory import ConnectionFactory
from crontabber.mixins import as_single_postgres_transaction, using_postgres
from tests.jobs import note


class Named(ConnectionFactory):
    required_config = Namespace()
    required_config.add_option(
        "session_name", default="nobody", doc="how the server sees us", reference_value_from="resource.postgresql"
    )

    def connection(self, name=None):
        connection = super().connection(name)
        with connection.cursor() as cursor:
            cursor.execute("SET application_name = %s", (self.config.session_name,))
        connection.commit()
        return connection


class Whole(RequiredConfig):
    """Inherits nothing: only the methods that a connection source needs."""

    required_config = Namespace()
    required_config.add_option(
        "conninfo", default="", doc="a connection string", reference_value_from="resource.postgresql"
    )

    def __init__(self, config):
        self.config = config

    @contextmanager
    def __call__(self):
        connection = self.connection()
        try:
            yield connection
        finally:
            self.close_connection(connection)

    def connection(self):
        return psycopg2.connect(self.config.conninfo, application_name="whole")

    def close_connection(self, connection, force=False):
        connection.close()

    def is_operational_exception(self, error):
        return isinstance(error, psycopg2.OperationalError)


@using_postgres()
@as_single_postgres_transaction()
class Asking(BaseCronApp):
    app_name = "asking"

    def run(self, connection):
        with connection.cursor() as cursor:
            cursor.execute("SELECT application_name FROM pg_stat_activity"
                           " WHERE datname = current_database() AND application_name IN ('me', 'whole') ORDER BY pid")
            for name, in cursor.fetchall():
                note(name)
'''


class OwnClassTestCase(ModeTestCase):
    def setUp(self):
        super().setUp()
        self.write_module("own_state", STATE)
        self.write_module("own_connections", CONNECTIONS)

    def lines(self, name):
        return (self.folder / name).read_text().splitlines() if (self.folder / name).exists() else []


class TestSubclassOfJobStateDatabase(OwnClassTestCase):
    def setUp(self):
        super().setUp()
        self.ini("nightly.Foo|1d\nnightly.Sad|1d", job_state_db_class="own_state.Noted", notes="mine.txt")

    def test_it_is_built_with_its_own_option_and_every_mode_works(self):
        tick = self.crontabber()

        self.assertEqual((tick.returncode, self.ran()), (0, ["foo the first time", "sad the first time"]), tick.stderr)
        self.assert_said(self.crontabber("--nagios"), 2, "CRITICAL - sad (Sad) | <class 'ValueError'> | No more tissues\n")
        self.assertIn("\nError!!         (1 times)\n", self.crontabber("--list-jobs").stdout)
        self.assert_said(self.crontabber("--audit-ghosts"), 0, "")
        self.assertEqual(self.crontabber("--reset-job=sad").returncode, 0)
        self.assertEqual(self.lines("mine.txt"), ["built"] * 5 + ["pop sad"])

    def test_its_reports_need_only_select(self):
        self.crontabber()
        self.ini("nightly.Sad|1d", job_state_db_class="own_state.Noted", connection=self.reader())

        self.assert_said(self.crontabber("--nagios"), 2, "CRITICAL - sad (Sad) | <class 'ValueError'> | No more tissues\n")

    def test_its_options_are_in_the_help_and_in_a_dumped_configuration(self):
        shown = self.crontabber("--help")
        dumped = self.crontabber("--admin.dump_conf=all.ini")

        self.assertEqual((shown.returncode, dumped.returncode), (0, 0), shown.stderr + dumped.stderr)
        self.assertIn("--crontabber.notes", shown.stdout)
        self.assertIn("job_state_db_class=own_state.Noted\n", (self.folder / "all.ini").read_text())


class TestOwnConnections(OwnClassTestCase):
    def configured_with(self, extra):
        path = self.ini("own_connections.Asking|1d")
        path.write_text(path.read_text().replace("[[postgresql]]\n", f"[[postgresql]]\n{extra}\n"))

    def test_one_entry_under_resource_postgresql_reaches_the_state_and_the_jobs(self):
        self.configured_with("database_class=own_connections.Named\nsession_name=me")

        tick = self.crontabber()

        self.assertEqual((tick.returncode, self.ran()), (0, ["me", "me"]), tick.stderr)
        self.assertEqual(self.row("asking", "error_count"), 0)

    def test_a_class_for_the_state_alone_does_not_affect_the_jobs(self):
        self.ini("own_connections.Asking|1d", database_class="own_connections.Named", session_name="me")

        tick = self.crontabber()

        self.assertEqual((tick.returncode, self.ran()), (0, ["me"]), tick.stderr)

    def test_a_class_that_inherits_nothing_serves_every_mode(self):
        conninfo = " ".join(f"{name}='{value}'" for name, value in connection_options().items())
        self.configured_with(f'database_class=own_connections.Whole\nconninfo="{conninfo}"')

        tick = self.crontabber()

        self.assertEqual((tick.returncode, self.ran()), (0, ["whole", "whole"]), tick.stderr)
        self.assertEqual(self.row("asking", "error_count", "owner"), (0, None))
        self.assert_said(self.crontabber("--nagios"), 0, "OK - All systems nominal\n")
        self.assertIn("App name:       asking\n", self.crontabber("--list").stdout)
        self.assertEqual(self.crontabber("--reset-job=asking").returncode, 0)
        self.assertIsNone(self.row("asking", "app_name"))

    def test_a_missing_class_is_named(self):
        self.configured_with("database_class=own_connections.Nothing")

        tick = self.crontabber()

        self.assertEqual((tick.returncode, tick.stdout), (1, ""))
        self.assertRegex(tick.stderr, r"\Acrontabber: .*own_connections\.Nothing")
        self.assertNotIn("Traceback", tick.stderr)


class TestWholeStateClass(OwnClassTestCase):
    """tests.integration.file_state, on a machine without any PostgreSQL."""

    def configure(self, jobs):
        self.ini(jobs, connection=NOWHERE, job_state_db_class="tests.integration.file_state.FileState")

    def test_every_mode_works(self):
        self.configure("nightly.SadChild|1d\nnightly.Sad|1d\nnightly.Bar|1d\nnightly.Foo|12h\nnightly.Back|1d")

        first, second = self.crontabber(), self.crontabber()

        self.assertEqual((first.returncode, second.returncode), (0, 0), first.stderr + second.stderr)
        self.assertEqual(
            self.ran(), ["back the first time", "foo the first time", "sad the first time", "bar the first time"]
        )
        self.assertIn("sad-child is held back: its dependency 'sad' errored last time", first.stderr)
        self.assert_said(self.crontabber("--nagios"), 2, "CRITICAL - sad (Sad) | <class 'ValueError'> | No more tissues\n")
        self.assertIn("\nError!!         (1 times)\n", self.crontabber("--list-jobs").stdout)
        self.crontabber("--job=foo", "--force")
        self.assertEqual(self.ran(), ["foo again"])

        self.configure("nightly.Sad|1d")
        self.assert_said(
            self.crontabber("--audit-ghosts"), 0, "Found the following in the state database but not configured here:\n\tback\n\tbar\n\tfoo\n"
        )
        self.assertRegex(self.crontabber("--reset-job=foo").stderr, "INFO - App reset\n")
        self.assert_said(
            self.crontabber("--audit-ghosts"), 0, "Found the following in the state database but not configured here:\n\tback\n\tbar\n"
        )

    def test_a_backfill_continues_after_its_last_date(self):
        self.configure("nightly.Back|1d")
        self.crontabber()
        path = self.folder / "state" / "back.json"
        year = path.read_text().split('"last_success": "')[1][:4]
        path.write_text(path.read_text().replace(f'": "{year}-', f'": "{int(year) - 1}-'))
        self.ran()

        tick = self.crontabber()

        self.assertIn(len(self.ran()), (365, 366), tick.stderr)

    def test_it_detects_a_running_and_a_dead_owner(self):
        self.write_module("nightly", JOBS + "\n\nclass Slow(Noting):\n    app_name = 'slow'\n\n    def run(self):\n"
                          "        super().run()\n        import os, time\n        time.sleep(30 * os.path.exists('wait'))\n")
        (self.folder / "wait").touch()
        self.configure("nightly.Slow|1d")
        process = self.start()
        self.wait_for("ran.txt")

        beside = self.crontabber()
        process.send_signal(signal.SIGKILL)
        process.wait()
        (self.folder / "wait").unlink()
        after = self.crontabber()

        self.assertEqual((beside.returncode, after.returncode), (3, 0), beside.stderr + after.stderr)
        self.assertRegex(after.stderr, r"WARNING - slow: its owner .*:\d+ ended without a result\. Running it now\.\n")
        self.assertEqual(self.ran(), ["slow the first time", "slow again"])

    def test_a_job_that_is_killed_at_its_timeout_has_a_dead_owner(self):
        self.write_module("nightly", JOBS + "\n\nclass Hanging(Noting):\n    app_name = 'a-hanging'\n"
                          "    policy = {'timeout': 0.2, 'kill_timeout': 0.2}\n\n    def run(self):\n        super().run()\n"
                          "        import signal, time\n        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\n"
                          "        time.sleep(60)\n")
        self.configure("nightly.Hanging|1d\nnightly.Foo|1d")

        tick = self.crontabber()

        self.assertEqual((tick.returncode, self.ran()), (0, ["a-hanging the first time", "foo the first time"]), tick.stderr)
