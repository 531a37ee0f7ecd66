"""The examples of the original's manual, in Python 3 but otherwise unchanged, followed in their order."""

import re
import subprocess
import sys
from datetime import datetime, timedelta

from tests.support import DatabaseTestCase, connection_options

MY_APP = r'''
import datetime
from crontabber.base import BaseCronApp

class MyFirstApp(BaseCronApp):
    app_name = 'my-first-app'

    def run(self):
        with open(self.app_name + '.log', 'a') as f:
            f.write('Now is %s\n' % datetime.datetime.now())

class MySecondApp(BaseCronApp):
    app_name = 'my-second-app'
    depends_on = ('my-first-app',) # NOTE!
    def run(self):
        with open(self.app_name + '.log', 'a') as f:
            f.write('Second app run at %s\n' % datetime.datetime.now())

class MyBigFatWeddingApp(BaseCronApp):
    app_name = 'my-big-fat-wedding-app'
    def run(self):
        pass
'''

# 1.2.4, with the mistakes of the manual's sketch fixed.
POSTGRES = r'''
from crontabber.base import BaseCronApp
from crontabber.mixins import using_postgres, with_postgres_connection_as_argument, as_single_postgres_transaction

class GetMeOutOfHereError(Exception):
    pass

def bad_situation_detected():
    import os
    return os.path.exists('bad')

@using_postgres()
class MyFactoryApp(BaseCronApp):
    app_name = 'factory-app'
    def run(self):
        with self.database_connection_factory() as pg_connection:
            cursor = pg_connection.cursor()
            cursor.execute('create table A (a int, b int, c int)')
            pg_connection.commit()
            cursor.execute('insert into A (a, b, c) values (1, 1, 1)')

@using_postgres()
class MyPGApp(BaseCronApp):
    app_name = 'pg-app'
    depends_on = 'factory-app'
    @staticmethod
    def execute_lots_of_sql(connection, sql_in_a_list):
        """run multiple sql statements in a single transaction"""
        cursor = connection.cursor()
        for an_sql_statement in sql_in_a_list:
            cursor.execute(an_sql_statement)
    def run(self):
        sql = [
            'insert into A (a, b, c) values (2, 30, 4)',
            'update A set a=26 where b > 11',
            'drop table B'
        ]
        self.database_transaction_executor(self.execute_lots_of_sql, sql)

@using_postgres()
@with_postgres_connection_as_argument()
class MyCrontabberApp(BaseCronApp):
    app_name = 'postgres-enabled-app'
    depends_on = 'factory-app'
    def run(self, connection):
        # the connection is live and ready to use
        cursor = connection.cursor()
        cursor.execute('insert into A (a, b, c) values (5, 5, 5)')
        connection.commit()
        cursor.execute('insert into A (a, b, c) values (6, 6, 6)')

@using_postgres()
@as_single_postgres_transaction()
class MyTransactionApp(BaseCronApp):
    app_name = 'transaction-app'
    depends_on = 'factory-app'
    def run(self, connection):
        # the connection is live and ready to use
        cursor = connection.cursor()
        cursor.execute('insert into A (a, b, c) values (11, 22, 33)')
        if bad_situation_detected():
            raise GetMeOutOfHereError()
'''

TWO_CONNECTIONS = r'''
from crontabber.base import BaseCronApp
from crontabber.mixins import using_postgres, with_postgres_connection_as_argument

@using_postgres()
@with_postgres_connection_as_argument()
class TwoConnections(BaseCronApp):
    app_name = 'two-connections'
    def run(self, connection):
        other = self.database_transaction_executor(lambda connection: connection.get_backend_pid())
        assert other != connection.get_backend_pid()
        assert not connection.closed
'''

SUBPROCESS = r'''
from crontabber.base import BaseCronApp
from crontabber.mixins import with_subprocess

@with_subprocess
class MyFirstCommandlineApp(BaseCronApp):
    app_name = 'my-first-commandline-app'
    def run(self):
        command = 'rm -f oldjunk.log && ls gone'
        exit_code, stdout, stderr = self.run_process(command)
        if exit_code != 0:
            self.config.logger.error(
                'Failed to execute %r' % command,
            )
            raise Exception(stderr)
'''

BACKFILL = r'''
import datetime
from crontabber.base import BaseCronApp
from crontabber.mixins import as_backfill_cron_app, as_single_postgres_transaction, using_postgres
@as_backfill_cron_app
class MyBackfillApp(BaseCronApp):
    app_name = 'my-backfill-app'

    def run(self, date):
        assert isinstance(date, datetime.datetime) and date.tzinfo
        with open(self.app_name + '.log', 'a') as f:
            f.write('Date supplied: %s\n' % date)

@using_postgres()
@as_single_postgres_transaction()
@as_backfill_cron_app
class Cleanup(BaseCronApp):
    app_name = 'cleanup'

    def run(self, connection, date):
        connection.cursor().execute('SELECT cleanup(%s)', (date.date(),))
'''

CONFIG = r'''
import datetime
from crontabber.base import BaseCronApp
from configman import Namespace

def function_converter(function_reference):
    module, callable, function = function_reference.rsplit('.', 2)
    module = __import__(module, globals())
    callable = getattr(module, callable)
    return getattr(callable, function)

class MyFirstConfigApp(BaseCronApp):
    app_name = 'my-first-config-app'
    required_config = Namespace()
    required_config.add_option(
        'date_format',
        default='%m/%d %Y - %H:%M',
        doc="Format for how the date is reported in the log file."
    )
    required_config.add_option(
        'date_function',
        default=datetime.datetime.now,
        doc="Function that generates datetime instance",
        from_string_converter=function_converter
    )
    def run(self):
        with open(self.app_name + '.log', 'a') as f:
            dt = self.config.date_function()
            f.write('Now is %s\n' % dt.strftime(self.config.date_format))
'''


class ManualTestCase(DatabaseTestCase):
    maxDiff = None

    def setUp(self):
        super().setUp()
        (self.folder / "jobs").mkdir()
        (self.folder / "jobs" / "__init__.py").touch()

    def write(self, module, source):
        (self.folder / "jobs" / f"{module}.py").write_text(source)

    def log_of(self, app_name):
        log = self.folder / f"{app_name}.log"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return lines


class TestQuickstart(ManualTestCase):
    def change(self, setting, value):
        """Replace the first commented-out line of a setting in the dumped file by one with this value."""
        path = self.folder / "crontabber.ini"
        changed, count = re.subn(rf"(?m)^( *)#{setting}=.*$", rf"\g<1>{setting}={value}", path.read_text(), count=1)
        self.assertEqual(count, 1)
        path.write_text(changed)

    def test_the_quickstart_leads_from_a_dumped_configuration_to_two_tables(self):
        dumped = subprocess.run(
            [sys.executable, "-m", "crontabber", "--admin.dump_conf=crontabber.ini"], env=self.environment(),
            cwd=self.folder, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        self.assertEqual((dumped.returncode, dumped.stdout, dumped.stderr), (0, "", ""))
        for setting, value in connection_options().items():
            self.change(setting, value)
        listed = self.crontabber("--list")
        self.assertEqual((listed.returncode, listed.stdout), (0, ""))
        self.assertRegex(listed.stderr, r"\A\S+ \S+ \S+ INFO - No jobs are configured\.\n\Z")

        self.change("jobs", "'''\njobs.myapp.MyFirstApp|5m\n'''")
        self.write("myapp", MY_APP)
        self.assertEqual(
            self.crontabber("--list").stdout,
            "=== JOB ========================================================================\n"
            "Class:          jobs.myapp.MyFirstApp\n"
            "App name:       my-first-app\n"
            "Frequency:      5m\n"
            "*NO PREVIOUS RUN INFO*\n",
        )

        self.assertEqual(self.crontabber().returncode, 0)
        (line,) = self.log_of("my-first-app")
        self.assertRegex(line, r"\ANow is \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+\Z")
        again = self.crontabber()
        self.assertEqual((again.returncode, again.stdout, again.stderr, self.log_of("my-first-app")), (0, "", "", []))
        self.due("my-first-app")
        self.crontabber()
        self.assertEqual(len(self.log_of("my-first-app")), 1)
        self.assertEqual(self.sql("SELECT app_name, error_count FROM crontabber"), [("my-first-app", 0)])
        self.assertEqual(self.sql("SELECT app_name, exc_type FROM crontabber_log"), [("my-first-app", None)] * 2)


class TestDependencies(ManualTestCase):
    def test_the_second_app_runs_after_the_first_and_not_if_that_fails(self):
        self.write("myapp", MY_APP)
        self.ini("\njobs.myapp.MySecondApp|1h\njobs.myapp.MyFirstApp|5m\n")
        self.crontabber()
        first, second = self.log_of("my-first-app")[0], self.log_of("my-second-app")[0]
        self.assertLess(first.removeprefix("Now is "), second.removeprefix("Second app run at "))

        self.due("my-first-app", "my-second-app")
        (self.folder / "my-first-app.log").mkdir()
        tick = self.crontabber()

        self.assertIn("my-second-app is held back: its dependency 'my-first-app' errored last time", tick.stderr)
        self.assertEqual(self.log_of("my-second-app"), [])
        report = self.crontabber("--nagios")
        self.assertEqual(
            (report.returncode, report.stdout, report.stderr),
            (2, "CRITICAL - my-first-app (MyFirstApp) | <class 'IsADirectoryError'> | [Errno 21] Is a directory: 'my-first-app.log'\n", ""),
        )

    def test_a_time_of_day_is_in_the_servers_time_zone(self):
        self.write("myapp", MY_APP)
        self.ini("jobs.myapp.MyBigFatWeddingApp|2d|21:00")
        for zone in ("US/Pacific", "UTC"):
            with self.subTest(zone):
                self.crontabber("--reset-job=my-big-fat-wedding-app")
                self.crontabber("--job=my-big-fat-wedding-app", "--force", PGTZ=zone)
                next_run = self.sql("SELECT to_char(next_run AT TIME ZONE %s, 'HH24:MI') FROM crontabber", (zone,))
                self.assertEqual(next_run, [("21:00",)])


class TestPostgres(ManualTestCase):
    JOBS = ["MyFactoryApp", "MyPGApp", "MyCrontabberApp", "MyTransactionApp"]

    def setUp(self):
        super().setUp()
        self.write("pg", POSTGRES)
        self.ini("\n".join(f"jobs.pg.{name}|1d" for name in self.JOBS))

    def test_the_three_decorators_commit_successes(self):
        self.sql("CREATE TABLE B ()")

        tick = self.crontabber()

        self.assertEqual(tick.stderr.count("ERROR"), 0, tick.stderr)
        self.assertEqual(self.sql("SELECT * FROM A ORDER BY 1"), [(5, 5, 5), (11, 22, 33), (26, 30, 4)])
        self.assertEqual(self.sql("SELECT to_regclass('B')"), [(None,)])

    def test_the_executor_does_not_use_the_connection_that_run_gets(self):
        self.write("two", TWO_CONNECTIONS)
        self.ini("jobs.two.TwoConnections|1d")

        self.crontabber()

        self.assertEqual(self.row("two-connections", "error_count", "last_error"), (0, {}))

    def test_a_failure_is_rolled_back(self):
        (self.folder / "bad").touch()

        self.crontabber()

        self.assertEqual(self.sql("SELECT * FROM A"), [(5, 5, 5)])
        self.assertEqual(
            self.sql("SELECT app_name, last_error->>'type' FROM crontabber WHERE error_count > 0 ORDER BY 1"),
            [("pg-app", "<class 'psycopg2.errors.UndefinedTable'>"), ("transaction-app", "<class 'jobs.pg.GetMeOutOfHereError'>")],
        )


class TestSubprocess(ManualTestCase):
    def test_a_failing_command_is_logged_and_fails_the_job(self):
        self.write("cmd", SUBPROCESS)
        self.ini("jobs.cmd.MyFirstCommandlineApp|1d")
        (self.folder / "oldjunk.log").touch()

        tick = self.crontabber()

        self.assertIn("ERROR - Failed to execute 'rm -f oldjunk.log && ls gone'\n", tick.stderr)
        self.assertFalse((self.folder / "oldjunk.log").exists())
        self.assertRegex(self.row("my-first-commandline-app", "last_error")["value"], r"\Als: .*gone.*[^\n]\Z")

        (self.folder / "gone").touch()
        self.due("my-first-commandline-app")
        self.crontabber()
        self.assertEqual(self.row("my-first-commandline-app", "error_count"), 0)


class TestBackfill(ManualTestCase):
    # 1.4.2, the part that is meant to be real.
    PROCEDURE = """
    CREATE TABLE reports_clean (report_date date);
    CREATE FUNCTION cleanup(day date) RETURNS boolean LANGUAGE plpgsql AS $$
    BEGIN
        IF EXISTS (SELECT FROM reports_clean WHERE report_date = day) THEN
            RAISE EXCEPTION 'Already run for %.', day;
        END IF;
        IF EXISTS (SELECT FROM pg_class WHERE relname = 'offline') THEN
            RAISE EXCEPTION 'The third party is offline.';
        END IF;
        INSERT INTO reports_clean VALUES (day);
        RETURN true;
    END $$;
    """

    def setUp(self):
        super().setUp()
        self.write("back", BACKFILL)

    def move_back(self, app_name, days):
        self.sql("UPDATE crontabber SET first_run = first_run - %(by)s, last_run = last_run - %(by)s, next_run = next_run - %(by)s,"
                 " last_success = last_success - %(by)s WHERE app_name = %(name)s", {"by": timedelta(days=days), "name": app_name})

    def test_run_gets_each_date_once(self):
        self.ini("jobs.back.MyBackfillApp|1d")
        self.crontabber()
        self.move_back("my-backfill-app", 4)

        self.crontabber()
        self.crontabber()

        lines = self.log_of("my-backfill-app")
        dates = [datetime.fromisoformat(line.removeprefix("Date supplied: ")) for line in lines]
        self.assertEqual(len(dates), 5)
        self.assertTrue(all(date.tzinfo for date in dates))
        self.assertEqual([(later - earlier).days for earlier, later in zip(dates[1:], dates[2:], strict=False)], [1, 1, 1])

    def test_a_service_offline_for_three_days_loses_no_date(self):
        self.sql("DROP FUNCTION IF EXISTS cleanup(date)")
        self.sql(self.PROCEDURE)
        self.addCleanup(self.sql, "DROP FUNCTION cleanup(date)")
        self.ini("jobs.back.Cleanup|1d")
        self.crontabber()
        self.sql("UPDATE reports_clean SET report_date = report_date - 3")
        self.move_back("cleanup", 3)
        self.sql("CREATE TABLE offline ()")
        for _ in range(3):
            self.crontabber()
            self.due("cleanup")
        self.assertEqual(self.row("cleanup", "error_count", "last_error->>'value' LIKE '%% offline.%%'"), (3, True))
        self.sql("DROP TABLE offline")

        self.crontabber()

        self.assertEqual(self.row("cleanup", "error_count", "last_error"), (0, {}))
        rows = self.sql("SELECT count(*), count(DISTINCT report_date), max(report_date) - min(report_date) FROM reports_clean")
        self.assertEqual(rows, [(4, 4, 3)])


class TestConfiguration(ManualTestCase):
    SECTION = "[[class-MyFirstConfigApp]]\n# Format for how the date is reported in the log file.\ndate_format=%W %y %h:%M\n"

    def setUp(self):
        super().setUp()
        self.write("config", CONFIG)

    def said(self, extra="", **env):
        self.ini("jobs.config.MyFirstConfigApp|1d", extra)
        tick = self.crontabber("--job=my-first-config-app", "--force", **env)
        self.assertEqual(tick.returncode, 0, tick.stderr)
        return self.log_of("my-first-config-app")

    def test_the_environment_and_the_file_override_a_default(self):
        (default,) = self.said()
        self.assertRegex(default, r"\ANow is \d\d/\d\d \d{4} - \d\d:\d\d\Z")
        (weekday,) = self.said(**{"crontabber.class-MyFirstConfigApp.date_format": "%A"})
        self.assertRegex(weekday, r"\ANow is [A-Z][a-z]+day\Z")
        (from_file,) = self.said(self.SECTION)
        self.assertRegex(from_file, r"\ANow is \d\d \d\d [A-Z][a-z]{2}:\d\d\Z")

    def test_a_setting_can_be_a_function(self):
        option = {"crontabber.class-MyFirstConfigApp.date_function": "datetime.datetime.utcnow"}
        form = {"crontabber.class-MyFirstConfigApp.date_format": "%H %M"}

        (utc,) = self.said(TZ="Asia/Kolkata", **option, **form)
        (local,) = self.said(TZ="Asia/Kolkata", **form)

        hours, minutes = (
            [int(number) for number in line.removeprefix("Now is ").split()] for line in (utc, local)
        )
        apart = (minutes[0] * 60 + minutes[1] - hours[0] * 60 - hours[1]) % (24 * 60)
        self.assertIn(apart, (330, 331))

    def test_the_settings_of_the_apps_are_printed_as_commented_out_examples(self):
        self.ini("jobs.config.MyFirstConfigApp|1d")

        printed = self.crontabber("--admin.print_conf=ini")

        self.assertEqual(printed.returncode, 0, printed.stderr)
        self.assertRegex(
            printed.stdout,
            r"\[\[class-MyFirstConfigApp\]\]\n\n"
            r" *# Format for how the date is reported in the log file\.\n"
            r" *#date_format=%m/%d %Y - %H:%M\n",
        )
        self.assertIn("#date_function=datetime.datetime.now\n", printed.stdout)

    def test_a_dumped_configuration_of_any_format_can_be_used(self):
        self.ini("jobs.config.MyFirstConfigApp|1d", self.SECTION)
        option = {"crontabber.class-MyFirstConfigApp.date_function": "datetime.datetime.utcnow"}
        for kind in ("ini", "json", "conf"):
            for changed in ({}, option):
                with self.subTest(kind, changed=changed):
                    dump = self.crontabber(f"--admin.dump_conf=dumped.{kind}", **changed)
                    self.assertEqual((dump.returncode, dump.stderr), (0, ""))

                    tick = self.crontabber("--admin.strict", "--configtest", ini=f"dumped.{kind}")

                    self.assertEqual((tick.returncode, tick.stderr), (0, ""))


class TestRunningFromBash(ManualTestCase):
    def test_two_crontabbers_behind_one_wrapper_share_their_common_settings(self):
        self.write("myapp", MY_APP)
        self.ini(name="crontabber.common.ini")
        common = (self.folder / "crontabber.common.ini").read_text().split("[crontabber]")[0]
        (self.folder / "crontabber.common.ini").write_text(common)
        for letter, job in (("A", "MyFirstApp"), ("B", "MySecondApp")):
            (self.folder / f"crontabber.{letter}.ini").write_text(
                f"+include ./crontabber.common.ini\n[crontabber]\njobs='''\njobs.myapp.{job}|5m\n'''\n"
            )
        wrapper = self.folder / "crontabber_wrapper.sh"
        wrapper.write_text(
            "#!/bin/bash\n"
            'HOMEDIR="$(dirname "$0")"\n'
            f'"{sys.executable}" -m crontabber --admin.conf="$HOMEDIR/crontabber.$1.ini"\n'
        )

        held_back, first, second = (
            subprocess.run(["bash", str(wrapper), letter], env=self.environment(), cwd=self.folder, text=True,
                           stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
            for letter in "BAB"
        )  # fmt: skip

        self.assertEqual([held_back.returncode, first.returncode, second.returncode], [0, 0, 0], held_back.stderr)
        self.assertIn("WARNING - my-second-app is held back", held_back.stderr)
        self.assertEqual((len(self.log_of("my-first-app")), len(self.log_of("my-second-app"))), (1, 1), second.stderr)
