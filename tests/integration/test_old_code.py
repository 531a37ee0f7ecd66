"""Code as users of the original wrote it: jobs, fakes and applications that must keep working unchanged."""

import copy
import os
import pickle
import subprocess
import unittest
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import psycopg2

from crontabber import datetimeutil
from crontabber.base import BaseCronApp
from crontabber.connection_factory import ConnectionFactory
from crontabber.dbapi2_util import DBApiUtilNonFatalBaseException
from crontabber.mixins import as_backfill_cron_app, with_subprocess
from crontabber.process import subprocesses
from crontabber.testing import run_job
from crontabber.transaction_executor import TransactionExecutor, TransactionExecutorWithLimitedBackoff
from tests.integration.mode_case import ModeTestCase
from tests.support import connect, connection_options


class TestUtc(unittest.TestCase):
    def test_it_reports_no_daylight_saving_time(self):
        now = datetimeutil.utc_now()

        self.assertEqual((now.tzinfo.dst(now), now.utcoffset(), now.tzname()), (timedelta(0), timedelta(0), "UTC"))
        self.assertIs(now.tzinfo, datetimeutil.UTC)

    def test_it_is_interchangeable_with_that_of_the_standard_library(self):
        ours = datetime(2026, 3, 1, 12, tzinfo=datetimeutil.UTC)
        theirs = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)

        self.assertEqual((ours, ours.isoformat(), theirs.astimezone(datetimeutil.UTC)), (theirs, theirs.isoformat(), ours))
        self.assertEqual((pickle.loads(pickle.dumps(ours)), copy.deepcopy(ours)), (ours, ours))
        self.assertEqual(datetimeutil.UTC, timezone.utc)
        self.assertEqual(timezone.utc, datetimeutil.UTC)
        self.assertEqual({datetimeutil.UTC, timezone.utc}, {timezone.utc})
        self.assertNotEqual(datetimeutil.UTC, timezone(timedelta(hours=1)))

    def test_a_job_stores_and_reads_times_in_it(self):
        connection = connect()
        self.addCleanup(connection.close)
        now = datetimeutil.utc_now()

        cursor = connection.cursor()
        cursor.execute("SET TimeZone = 'Europe/Berlin'")
        cursor.execute("SELECT %s, %s::text", (now, datetime(2026, 7, 1, tzinfo=datetimeutil.UTC)))

        self.assertEqual(cursor.fetchone(), (now, "2026-07-01 02:00:00+02"))
        self.assertEqual(now.astimezone(timezone(timedelta(hours=5))), now)


class TestRunProcess(unittest.TestCase):
    @with_subprocess
    class Counting(BaseCronApp):
        app_name = "counting"

        def run(self):
            return self.run_process(["expr", 1, "+", 2])

    def test_arguments_may_be_numbers(self):
        self.assertEqual(run_job(self.Counting).returned, (0, "3", ""))

    def test_a_path_and_bytes_are_passed_as_they_are(self):
        for command in (Path("/bin/pwd"), ["/bin/echo", b"a", Path("b")], ("/bin/echo", 1.5)):
            with self.subTest(command):
                self.assertEqual(subprocesses.run(command)[0], 0)

    def test_none_among_the_arguments_is_a_mistake(self):
        with self.assertRaises(TypeError):
            subprocesses.run(["rm", "-f", None])

    def test_what_a_fake_of_popen_raises_reaches_the_test_suite(self):
        for fake in (mock.MagicMock(), mock.Mock(pid=1), mock.NonCallableMock(spec=subprocess.Popen)):
            fake.communicate.side_effect = OSError("no such program")
            with self.subTest(fake), mock.patch("crontabber.mixins.subprocess.Popen", return_value=fake):
                with mock.patch("os.killpg") as killpg, self.assertRaisesRegex(OSError, "no such program"):
                    run_job(self.Counting).check()
                killpg.assert_not_called()

    def test_a_fake_of_popen_may_have_no_output(self):
        with mock.patch("subprocess.Popen") as popen:
            popen.return_value.communicate.return_value = (None, b"")
            popen.return_value.returncode = 0

            self.assertEqual(run_job(self.Counting).returned, (0, "", ""))

        self.assertEqual(popen.call_args.args, (["expr", "1", "+", "2"],))

    def test_a_test_suite_may_replace_popen(self):
        class FakePopen:
            returncode = 1

            def __init__(self, command, **options):
                self.command = command

            def communicate(self, input=None):
                return b"out", "error"

        with mock.patch("subprocess.Popen", FakePopen):
            self.assertEqual(run_job(self.Counting).returned, (1, "out", "error"))


class TestExecutors(unittest.TestCase):
    def setUp(self):
        self.logger = mock.Mock(spec=["debug", "warning", "error", "critical"])
        self.source = mock.MagicMock()
        self.source.is_operational_exception.return_value = False
        self.config = SimpleNamespace(logger=self.logger, backoff_delays=[2, 3], wait_log_interval=1)

    def test_a_failed_transaction_is_logged_before_it_is_raised(self):
        for error, logged in ((ValueError("no"), 1), (DBApiUtilNonFatalBaseException("not worth it"), 0)):
            with self.subTest(error):
                self.logger.reset_mock()
                with self.assertRaises(type(error)):
                    TransactionExecutor(self.config, self.source)(mock.Mock(side_effect=error))

                self.assertEqual(self.logger.error.call_count, logged)
                self.assertTrue(all(call.kwargs == {"exc_info": True} for call in self.logger.error.call_args_list))

    def test_a_subclass_may_wait_in_its_own_way(self):
        class Patient(TransactionExecutorWithLimitedBackoff):
            waited = []

            def backoff_generator(self):
                yield from (7, 8)

            def responsive_sleep(self, seconds, wait_reason=""):
                self.waited.append((seconds, wait_reason))

        self.source.is_operational_exception.return_value = True
        with self.assertRaises(psycopg2.OperationalError):
            Patient(self.config, self.source)(mock.Mock(side_effect=psycopg2.OperationalError("gone")))

        self.assertEqual([seconds for seconds, _ in Patient.waited], [7, 8])

    def test_a_failed_commit_is_logged_too(self):
        connection = self.source.return_value.__enter__.return_value
        self.source.return_value.__exit__.return_value = False
        connection.commit.side_effect = psycopg2.IntegrityError("deferred")

        with self.assertRaises(psycopg2.IntegrityError):
            TransactionExecutor(self.config, self.source)(mock.Mock())

        self.assertEqual(self.logger.error.call_count, 1)
        connection.rollback.assert_called_once_with()

    def test_a_subclass_of_the_plain_executor_may_retry(self):
        class Stubborn(TransactionExecutor):
            def __init__(self, *args):
                super().__init__(*args)
                self.connection_source_type = "the warehouse"

            def backoff_generator(self):
                yield 0.5
                yield 1

        self.source.is_operational_exception.return_value = True
        self.source.return_value.__exit__.return_value = False
        gone = psycopg2.OperationalError("gone")
        function = mock.Mock(side_effect=[gone, gone, "done"])
        config = SimpleNamespace(logger=self.logger)

        with mock.patch("crontabber.transaction_executor.time.sleep") as sleep:
            self.assertEqual(Stubborn(config, self.source)(function), "done")

        self.assertEqual([call.args for call in sleep.call_args_list], [(0.5,), (1,)])
        self.logger.error.assert_not_called()

    def test_a_wait_is_logged_at_debug(self):
        executor = TransactionExecutorWithLimitedBackoff(self.config, self.source)
        self.assertEqual((list(executor.backoff_generator()), executor.connection_source_type), ([2, 3], "MagicMock"))

        with mock.patch("crontabber.transaction_executor.time.sleep") as sleep:
            executor.responsive_sleep(3, "waiting for rain")

        self.assertEqual(sleep.call_count, 3)
        self.assertEqual([call.args for call in self.logger.debug.call_args_list],
                         [("%s: %d of %g s", "waiting for rain", 1, 3), ("%s: %d of %g s", "waiting for rain", 2, 3)])

    def test_a_lost_ssl_connection_is_operational(self):
        class SslError(psycopg2.ProgrammingError):
            pgerror = "SSL SYSCALL error: EOF detected"

        factory = ConnectionFactory({"host": "", "port": "", "dbname": "", "user": "", "password": ""})

        self.assertTrue(factory.is_operational_exception(SslError("")))
        self.assertFalse(factory.is_operational_exception(psycopg2.ProgrammingError("syntax error")))


class TestBackfill(unittest.TestCase):
    def test_the_decorators_main_replaces_that_of_the_class(self):
        @as_backfill_cron_app
        class Report(BaseCronApp):
            app_name = "report"

            def main(self, function=None, once=True):
                raise AssertionError("not this one")

            def run(self, date):
                return date

        self.assertEqual(run_job(Report, date="2026-03-01").returned, datetime(2026, 3, 1, tzinfo=timezone.utc))

    def test_the_decorators_main_calls_that_of_the_bases(self):
        class Announced(BaseCronApp):
            def main(self, function=None, once=True):
                self.config.logger.info("once: %s", once)
                yield from super().main(function, once)

        @as_backfill_cron_app
        class Report(Announced):
            app_name = "report"

            def main(self, function=None, once=True):
                raise AssertionError("not this one")

            def run(self, date):
                """Nothing."""

        class Weekly(Report):
            app_name = "weekly"

            def main(self, function=None):
                self.config.logger.info("weekly")
                return super().main(function)

        self.assertEqual(run_job(Report, date="2026-03-01").check().log, ["INFO once: False"])
        self.assertEqual(run_job(Weekly, date="2026-03-01").check().log, ["INFO weekly", "INFO once: False"])


class TestConnections(ModeTestCase):
    JOB = """
    from crontabber.base import BaseCronApp
    from crontabber.mixins import using_postgres


    @using_postgres()
    class Steps(BaseCronApp):
        app_name = "steps"

        def run(self):
            with self.database_connection_factory() as connection:
                connection.cursor().execute("CREATE TEMPORARY TABLE scratch AS SELECT generate_series(1, 3) AS n")
                connection.commit()
            with self.database_connection_factory() as connection:
                cursor = connection.cursor()
                cursor.execute("SELECT sum(n) FROM scratch")
                self.config.logger.info("the sum is %d", cursor.fetchone()[0])
            connection = self.database_connection_factory.connection()
            connection.cursor().execute("CREATE TABLE kept AS SELECT 1")
            self.database_connection_factory.connection().commit()
    """

    def test_the_steps_of_a_job_share_a_session_which_ends_with_it(self):
        self.write_module("steps", self.JOB)
        self.write_module("looking", """
        import time

        from crontabber.base import BaseCronApp
        from crontabber.mixins import using_postgres, with_postgres_connection_as_argument


        @using_postgres()
        @with_postgres_connection_as_argument()
        class Looking(BaseCronApp):
            app_name = "looking"
            depends_on = "steps"

            def run(self, connection):
                cursor = connection.cursor()
                for _ in range(500):  # The server takes a moment to see that a client has gone.
                    cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'crontabber'")
                    count = cursor.fetchone()[0]
                    connection.rollback()
                    if count == 2:
                        break
                    time.sleep(0.01)
                self.config.logger.info("%d sessions", count)
        """)
        self.ini("steps.Steps|1d\nlooking.Looking|1d")

        tick = self.crontabber()

        self.assertEqual(tick.returncode, 0, tick.stderr)
        self.assertIn("INFO - the sum is 6\n", tick.stderr)
        self.assertIn("INFO - 2 sessions\n", tick.stderr)  # the state's and its own
        self.assertEqual(self.sql("SELECT * FROM kept"), [(1,)])

    def test_the_environment_leads_jobs_to_the_database(self):
        self.write_module("steps", self.JOB)
        ini = self.ini("steps.Steps|1d", connection={})
        for prefix in ("crontabber.", ""):
            with self.subTest(prefix or "bare"):
                self.empty_the_database()
                variables = {prefix + name: value for name, value in connection_options().items()}

                tick = self.crontabber(PGHOST="/nowhere", **variables)

                self.assertEqual(tick.returncode, 0, tick.stderr)
                self.assertEqual(self.row("steps", "error_count"), 0, tick.stderr)
        self.assertTrue(os.path.exists(ini))

    def test_an_application_can_change_the_default_of_the_connection_class(self):
        self.write_module("tab", """
        import sys
        from crontabber.app import CronTabber, main
        from crontabber.connection_factory import ConnectionFactory


        class Counted(ConnectionFactory):
            def connection(self, name=None):
                print("connected", file=sys.stderr)
                return super().connection(name)


        CronTabber.required_config.crontabber.database_class.default = "tab.Counted"
        if __name__ == "__main__":
            import tab
            sys.exit(main(tab.CronTabber))
        """)
        self.write_module("steps", self.JOB)
        self.ini("steps.Steps|1d")

        process = self.start_program([*self.command()[:1], "tab.py", *self.command()[3:]])
        _, stderr = process.communicate(timeout=60)

        self.assertEqual(process.returncode, 0, stderr)
        self.assertEqual(self.row("steps", "error_count"), 0, stderr)
        self.assertGreater(stderr.count("connected\n"), 2)
