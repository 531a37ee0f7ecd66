"""The application object as users' test suites build and call it, in their own process."""

import io
import logging
from contextlib import redirect_stdout
from datetime import datetime, timedelta, timezone
from unittest import mock

from configman import ConfigurationManager

import crontabber
from crontabber.app import CronTabber, JobNotFoundError, JobStateDatabase, SentryConfigurationError
from tests.integration.sentry_receiver import SentryReceiver
from tests.jobs import BarJob, FooJob, SadChildJob, SadJob
from tests.support import DatabaseTestCase, connection_options

OK = "OK - All systems nominal\n"


class ApplicationTestCase(DatabaseTestCase):
    maxDiff = None

    def setUp(self):
        super().setUp()
        self.logger = mock.create_autospec(logging.Logger, instance=True)

    def application(self, jobs, application_class=CronTabber, **values):
        definition = application_class.get_required_config()
        definition.add_option("logger", default=self.logger)
        values = {f"resource.postgresql.{name}": value for name, value in connection_options().items()} | values
        manager = ConfigurationManager(
            [definition], values_source_list=[values | {"crontabber.jobs": jobs}], argv_source=[], app_name="tests"
        )
        with manager.context() as config:
            application = application_class(config)
        self.addCleanup(lambda: application._job_state_database and application._job_state_database.close())
        return application

    def ran(self):
        """Return the names of the classes that have run since the last call, in order."""
        calls = [call.args for call in self.logger.info.call_args_list]
        self.logger.info.reset_mock()
        return [args[1] for args in calls if args[0] == "Ran %s"]

    def printed(self, act):
        with redirect_stdout(io.StringIO()) as stdout:
            self.assertIn(act(), (None, 0))
        return stdout.getvalue()


class TestRunning(ApplicationTestCase):
    def test_a_clock_patched_by_a_test_suite_moves_everything(self):
        tab = self.application("tests.jobs.BarJob|1d\ntests.jobs.FooJob|1d\ntests.jobs.FooBackfillJob|1d")
        self.assertEqual((tab.run_all(), self.ran()), (0, ["FooJob", "BarJob"]))
        self.assertEqual((tab.run_all(), self.ran()), (0, []))
        later = datetime.now(timezone.utc) + timedelta(days=3, minutes=5)

        with mock.patch("crontabber.app.utc_now", lambda: later), mock.patch("crontabber.base.utc_now", lambda: later):
            self.assertEqual((tab.run_all(), self.ran()), (0, ["FooJob", "BarJob"]))

        self.assertEqual(self.row("foo", "last_success"), later)
        self.assertEqual(self.sql("SELECT count(*) FROM crontabber_log WHERE app_name = 'foo-backfill'"), [(1 + 3,)])

    def test_options_may_be_set_after_the_application_was_built(self):
        tab = self.application("tests.jobs.FooJob|1d\ntests.jobs.SadJob|1d")
        tab.config["job"] = "foo"
        self.assertEqual((tab.main(), self.ran()), (0, ["FooJob"]))
        tab.config["force"] = True
        self.assertEqual((tab.main(), self.ran()), (0, ["FooJob"]))
        tab.config["job"] = tab.config["force"] = None

        for option, text in (("nagios", OK), ("version", f"{crontabber.__version__}\n"), ("audit-ghosts", "")):
            with self.subTest(option):
                tab.config[option] = True
                self.assertEqual(self.printed(tab.main), text)
                tab.config[option] = False
        tab.config["reset-job"] = "foo"
        tab.main()
        self.assertNotIn("foo", tab.job_state_database)

    def test_run_one_finds_a_job_by_name_or_class_or_raises(self):
        tab = self.application("tests.jobs.FooJob|1d\ntests.jobs.SadChildJob|1d")

        self.assertEqual([tab.run_one("foo"), tab.run_one("tests.jobs.FooJob"), tab.run_one("foo", force=True)], [0, 0, 0])
        self.assertEqual(self.ran(), ["FooJob", "FooJob"])
        with self.assertRaisesRegex(JobNotFoundError, "unknown job 'fo'"):
            tab.run_one("fo")

    def test_a_sentry_may_be_set_after_the_application_was_built(self):
        tab = self.application("tests.jobs.SadJob|1d")
        with SentryReceiver() as sentry:
            tab.config["sentry"] = {"dsn": sentry.dsn()}

            tab.run_all()

        self.assertEqual([event["exception"]["values"][0]["value"] for event in sentry.events()], ["No more tissues"])


class TestReporting(ApplicationTestCase):
    def test_every_report_goes_to_the_given_stream_or_to_stdout(self):
        tab = self.application("tests.jobs.FooJob|1d\ntests.jobs.SadJob|1d")
        listed = (
            "=== JOB " + "=" * 72 + "\nClass:          tests.jobs.FooJob\nApp name:       foo\nFrequency:      1d\n*NO PREVIOUS RUN INFO*\n"
            "=== JOB " + "=" * 72 + "\nClass:          tests.jobs.SadJob\nApp name:       sad\nFrequency:      1d\n*NO PREVIOUS RUN INFO*\n"
        )
        cases = [(tab.list_jobs, listed), (tab.nagios, OK), (tab.print_version, f"{crontabber.__version__}\n")]
        for report, text in cases:
            with self.subTest(report.__name__):
                stream = io.StringIO()
                report(stream=stream)
                self.assertEqual((stream.getvalue(), self.printed(report)), (text, text))

    def test_nagios_returns_its_exit_code(self):
        tab = self.application("tests.jobs.SadJob|1d")
        tab.run_all()
        stream = io.StringIO()

        self.assertEqual(tab.nagios(stream=stream), 2)
        self.assertEqual(stream.getvalue(), "CRITICAL - sad (SadJob) | <class 'ValueError'> | No more tissues\n")

    def test_ghosts_are_printed(self):
        self.application("tests.jobs.FooJob|1d").run_all()

        self.assertEqual(
            self.printed(self.application("tests.jobs.SadJob|1d").audit_ghosts),
            "Found the following in the state database but not configured here:\n\tfoo\n",
        )


class TestChecking(ApplicationTestCase):
    def test_configtest_is_true_without_faults_and_logs_each_fault(self):
        self.assertIs(self.application("tests.jobs.FooJob|1d|03:00").configtest(), True)
        self.logger.critical.assert_not_called()

        faulty = self.application("tests.jobs.FooJob|2r\ntests.jobs.SadJob|1d|25:00\ntests.jobs.BarJob|1h|03:00")
        self.assertIs(faulty.configtest(), False)
        self.assertEqual(
            self.logger.critical.call_args_list, [mock.call("Failed to config test a job", exc_info=True)] * 3
        )

    def test_sentrytest_needs_a_dsn_and_logs_the_identifier(self):
        tab = self.application("")
        with self.assertRaises(SentryConfigurationError):
            tab.sentrytest()

        with SentryReceiver() as sentry:
            tab.config["sentry"] = {"dsn": sentry.dsn()}
            tab.sentrytest()

        (event,) = sentry.events()
        self.logger.info.assert_called_with("Sentry successful identifier: %s", event["event_id"])

    def test_time_to_run_and_check_dependencies_follow_the_state(self):
        tab = self.application("tests.jobs.BarJob|1d\ntests.jobs.FooJob|1d\ntests.jobs.SadJob|1d\ntests.jobs.SadChildJob|1d")
        self.assertEqual((tab.time_to_run(FooJob, None), tab.check_dependencies(FooJob)), (True, (True, None)))
        self.assertEqual(tab.check_dependencies(BarJob), (False, "'foo' has not run yet"))
        tab.run_all()

        self.assertEqual((tab.time_to_run(FooJob, None), tab.time_to_run(SadChildJob, None)), (False, True))
        self.assertEqual(tab.check_dependencies(BarJob), (True, None))
        self.assertEqual(tab.check_dependencies(SadChildJob), (False, "'sad' errored last time"))
        self.due("foo")
        self.assertEqual((tab.time_to_run(FooJob, None), tab.check_dependencies(BarJob)), (True, (False, "'foo' has not run recently")))

    def test_a_first_run_waits_for_its_time_of_day(self):
        tab = self.application("tests.jobs.FooJob|1d")
        zone = tab.job_state_database.zone
        noon = datetime.now(zone).replace(hour=12, minute=0)
        with mock.patch("crontabber.app.utc_now", lambda: noon):
            self.assertEqual([tab.time_to_run(FooJob, text) for text in ("11:59", "12:00", "12:01")], [True, True, False])


class TestState(ApplicationTestCase):
    def test_the_state_database_is_built_on_first_use_and_again_on_request(self):
        tab = self.application("tests.jobs.FooJob|1d")
        self.assertEqual(self.sql("SELECT to_regclass('crontabber')"), [(None,)])

        first = tab.job_state_database
        self.assertIsInstance(first, JobStateDatabase)
        self.assertIs(tab.job_state_database, first)
        self.logger.info.assert_any_call("Creating %s", "crontabber table: crontabber")
        tab._job_state_database = None
        self.assertIsNot(tab.job_state_database, first)
        first.close()

    def test_resetting_logs_what_it_did(self):
        tab = self.application("tests.jobs.FooJob|1d")
        tab.run_all()

        tab.reset_job("foo")
        self.logger.info.assert_called_with("App reset")
        tab.reset_job("tests.jobs.FooJob")
        self.logger.warning.assert_called_with("App already reset")
        with self.assertRaises(JobNotFoundError):
            tab.reset_job("nobody")

    def test_reordering_puts_each_class_after_its_dependencies(self):
        tab = self.application("tests.jobs.SadChildJob|1d\ntests.jobs.BarJob|1d\ntests.jobs.FooJob|1d\ntests.jobs.SadJob|1d")
        class_list = tab.config.crontabber.jobs.class_list

        self.assertEqual(
            tab._reorder_class_list(class_list),
            [("FooJob", FooJob), ("SadJob", SadJob), ("BarJob", BarJob), ("SadChildJob", SadChildJob)],
        )

    def test_a_run_logged_by_hand_is_stored_like_a_real_one(self):
        tab = self.application("tests.jobs.FooJob|1d\ntests.jobs.BarJob|1d", **{"crontabber.error_retry_time": 600})
        now = datetime(2026, 3, 1, 12, 0, 30, tzinfo=timezone.utc)
        try:
            raise ValueError("by hand")
        except ValueError as error:
            tab._log_run(FooJob, 86400, None, None, now, type(error), error, error.__traceback__)
            tab._remember_failure(FooJob, 1.5, type(error), error, error.__traceback__)
        state = tab.job_state_database["foo"]
        self.assertEqual((state["error_count"], state["last_error"]["type"], state["last_error"]["value"]),
                         (1, "<class 'ValueError'>", "by hand"))
        self.assertIn('raise ValueError("by hand")', state["last_error"]["traceback"])
        self.assertEqual((state["next_run"], state["last_success"]), (now.replace(minute=10, second=0), None))

        tab._log_run(FooJob, 86400, None, now, now, None, None, None)
        tab._remember_success(FooJob, now, 2.0)

        self.assertEqual(tab.job_state_database["foo"] | {"next_run": None}, {
            "next_run": None, "first_run": now, "last_run": now, "last_success": now, "depends_on": [], "error_count": 0,
            "last_error": {}, "ongoing": None,
        })  # fmt: skip
        self.assertEqual(self.sql("SELECT duration, success, exc_type, exc_value FROM crontabber_log ORDER BY id"),
                         [(timedelta(seconds=1.5), None, "<class 'ValueError'>", "ValueError('by hand')"), (timedelta(seconds=2), now, None, None)])
