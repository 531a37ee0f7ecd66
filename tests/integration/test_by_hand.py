"""Applications that override or call what the original offered, as users wrote them."""

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from datetime import timedelta
from unittest import mock

from configman import command_line

from crontabber.app import CronTabber, OngoingJobError, main
from crontabber.commands.audit_ghosts import HEADING
from crontabber.datetimeutil import utc_now
from crontabber.process.streams import answer
from tests.integration.test_application import ApplicationTestCase
from tests.jobs import BarJob, FooJob, SadJob

JOBS = "tests.jobs.FooJob|1d\ntests.jobs.BarJob|1d\ntests.jobs.SadJob|1d"
EXCEPTION = (None, None, None)


class TestOverriding(ApplicationTestCase):
    """A tick uses the methods that a subclass overrides."""

    def tab(self, jobs=JOBS, **methods):
        return self.application(jobs, type("Tab", (CronTabber,), methods))

    def logged(self):
        return [app_name for app_name, in self.sql("SELECT app_name FROM crontabber_log ORDER BY id")]

    def test_its_time_to_run_decides_which_jobs_are_due(self):
        asked = []

        def time_to_run(self, class_, time_):
            asked.append((class_, time_))
            return class_ is FooJob and super(type(self), self).time_to_run(class_, time_)

        tab = self.tab("tests.jobs.FooJob|1d|00:00\ntests.jobs.SadJob|1d", time_to_run=time_to_run)

        self.assertEqual((tab.run_all(), self.ran()), (0, ["FooJob"]))
        self.assertEqual(asked, [(FooJob, "00:00"), (SadJob, None)])
        self.assertEqual((tab.run_all(), self.ran()), (0, []))

    def test_its_check_dependencies_decides_which_jobs_are_held_back(self):
        def check_dependencies(self, class_):
            if class_ is FooJob:
                return False, "it rains"
            return super(type(self), self).check_dependencies(class_)

        tab = self.tab(check_dependencies=check_dependencies)

        self.assertEqual((tab.run_all(), self.ran(), self.logged()), (0, [], ["sad"]))
        lines = [call.args for call in self.logger.debug.call_args_list]
        self.assertIn(("%s is held back: %s", "foo", "it rains"), lines)
        self.assertIn(("%s is held back: %s", "bar", "'foo' has not run yet"), lines)

    def test_its_check_dependencies_sees_what_succeeded_in_this_tick(self):
        def check_dependencies(self, class_):
            return super(type(self), self).check_dependencies(class_)

        self.assertEqual((self.tab(check_dependencies=check_dependencies).run_all(), self.ran()), (0, ["FooJob", "BarJob"]))

    def test_its_order_is_the_order_of_the_tick(self):
        def _reorder_class_list(self, class_list):
            return list(reversed(super(type(self), self)._reorder_class_list(class_list)))

        tab = self.tab("tests.jobs.FooJob|1d\ntests.jobs.SadJob|1d", _reorder_class_list=_reorder_class_list)

        self.assertEqual((tab.run_all(), self.logged()), (0, ["sad", "foo"]))

    def test_its_run_one_runs_each_job_of_the_tick(self):
        calls = []

        def _run_one(self, job_class, config, force=False):
            calls.append((job_class, config.frequency, force))
            if job_class is not SadJob:
                super(type(self), self)._run_one(job_class, config, force)

        tab = self.tab(_run_one=_run_one)

        self.assertEqual((tab.run_all(), self.ran()), (0, ["FooJob", "BarJob"]))
        self.assertEqual(calls, [(FooJob, "1d", False), (SadJob, "1d", False), (BarJob, "1d", False)])
        tab.run_one("foo", force=True)
        self.assertEqual((self.ran(), calls[-1]), (["FooJob"], (FooJob, "1d", True)))

    def test_its_log_run_is_called_for_each_run_and_stores_it(self):
        runs = []

        def _log_run(self, class_, seconds, time_, last_success, now, exc_type, exc_value, exc_tb):
            runs.append((class_, seconds, time_, last_success is not None, exc_type))
            super(type(self), self)._log_run(class_, seconds, time_, last_success, now, exc_type, exc_value, exc_tb)

        tab = self.tab("tests.jobs.FooJob|1d|00:00\ntests.jobs.SadJob|12h", _log_run=_log_run)

        self.assertEqual(tab.run_all(), 0)
        self.assertEqual(runs, [(FooJob, 86400.0, "00:00", True, None), (SadJob, 43200.0, None, False, ValueError)])
        states = tab.job_state_database.copy()
        self.assertEqual([(name, state["error_count"], state["ongoing"]) for name, state in sorted(states.items())],
                         [("foo", 0, None), ("sad", 1, None)])
        self.assertEqual(self.sql("SELECT app_name, success IS NOT NULL FROM crontabber_log ORDER BY id"), [("foo", True), ("sad", False)])
        self.assertEqual(self.sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), [(0,)])

    def test_its_log_run_may_store_the_state_itself(self):
        def _log_run(self, class_, seconds, time_, last_success, now, exc_type, exc_value, exc_tb):
            information = {"next_run": now + timedelta(seconds=seconds), "last_run": now, "last_success": last_success,
                           "first_run": now, "depends_on": [], "error_count": 0, "last_error": {}}  # fmt: skip
            self.job_state_database[class_.app_name] = information

        tab = self.tab("tests.jobs.FooJob|1d", _log_run=_log_run)

        self.assertEqual((tab.run_all(), self.ran()), (0, ["FooJob"]))
        self.assertEqual(self.row("foo", "ongoing", "owner", "next_run - last_run"), (None, None, timedelta(days=1)))
        self.assertEqual((tab.run_all(), self.ran()), (0, []))
        self.assertEqual(self.sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), [(0,)])

    def test_a_method_patched_by_a_test_suite_is_used_too(self):
        tab = self.application(JOBS)

        with mock.patch.object(CronTabber, "time_to_run", return_value=False):
            self.assertEqual((tab.run_all(), self.ran()), (0, []))

        self.assertEqual((tab.run_all(), self.ran()), (0, ["FooJob", "BarJob"]))

    def test_methods_that_no_tick_calls_are_warned_of_once(self):
        warning = "%s overrides %s, which no tick calls: override _log_run, which is called after each run, or _run_one"
        idle = {"_remember_success": lambda self, *args: self.fail(), "_run_job": lambda self, *args: self.fail()}
        tab = self.tab("tests.jobs.FooJob|1d", **idle)

        for run in (tab.run_all, lambda: tab.run_one("foo"), tab.run_all):
            self.assertEqual(run(), 0)

        self.assertEqual(self.ran(), ["FooJob"])
        warnings = [call.args for call in self.logger.warning.call_args_list]
        self.assertEqual(warnings, [(warning, "Tab", "_run_job, _remember_success")])

        self.logger.warning.reset_mock()
        self.tab("tests.jobs.FooJob|1d", _run_one=lambda self, *args: None, **idle).run_all()
        self.application("tests.jobs.FooJob|1d").run_all()
        self.logger.warning.assert_not_called()


class TestOverridingModes(ApplicationTestCase):
    """The modes of the command use the methods that a subclass overrides."""

    def main(self, mode, jobs, **methods):
        """Return the exit code of the mode, and what it has printed."""
        tab = self.application(jobs, type("Tab", (CronTabber,), methods))
        tab.config[mode] = True
        with redirect_stdout(io.StringIO()) as stdout, redirect_stderr(io.StringIO()) as stderr:
            exit_code = tab.main()
        return exit_code, stdout.getvalue() + stderr.getvalue()

    def test_its_configtest_decides(self):
        for jobs, own, exit_code in ((JOBS, True, 0), (JOBS, False, 1), ("tests.jobs.FooJob|2r", True, 0)):
            with self.subTest(jobs=jobs, own=own):
                self.assertEqual(self.main("configtest", jobs, configtest=lambda self, own=own: own), (exit_code, ""))

    def test_its_configtest_one_refuses_jobs(self):
        def _configtest_one(self, config):
            return config.frequency != "2d" and super(type(self), self)._configtest_one(config)

        jobs = "tests.jobs.FooJob|1d\ntests.jobs.BarJob|2d"

        exit_code, printed = self.main("configtest", jobs, _configtest_one=_configtest_one)

        self.assertEqual(printed, "crontabber: jobs: tests.jobs.BarJob: _configtest_one of Tab refuses its options\n")
        self.assertEqual(exit_code, 1)
        tab = self.application(jobs, type("Tab", (CronTabber,), {"_configtest_one": _configtest_one}))
        self.assertIs(tab.configtest(), False)

    def test_its_ghosts_are_those_that_are_listed(self):
        printed = self.main("audit-ghosts", JOBS, _get_ghosts=lambda self: iter(["lady in white"]))

        self.assertEqual(printed, (0, f"{HEADING}\tlady in white\n"))

    def test_its_print_version_prints_the_version(self):
        def print_version(self, stream=None):
            answer(f"Tab 7, {self.config.crontabber.error_retry_time}\n", stream)

        tab_class = type("Tab", (CronTabber,), {"print_version": print_version})

        with mock.patch("sys.argv", ["tab", "--version"]), redirect_stdout(io.StringIO()) as stdout:
            exit_code = main(tab_class, values_source_list=[{"crontabber.error_retry_time": "17"}, command_line])

        self.assertEqual((exit_code, stdout.getvalue()), (0, "Tab 7, 17\n"))


class TestCalling(ApplicationTestCase):
    """Methods that applications call for a single job."""

    def setUp(self):
        super().setUp()
        self.tab = self.application(JOBS)
        self.options = self.tab.config.crontabber["class-FooJob"]

    def test_a_job_runs_once_and_not_again_before_it_is_due(self):
        self.tab._run_one(FooJob, self.options)
        self.tab._run_one(FooJob, self.options)
        self.assertEqual(self.ran(), ["FooJob"])

        self.tab._run_one(FooJob, self.options, force=True)
        self.assertEqual(self.ran(), ["FooJob"])

    def test_a_job_run_by_hand_is_claimed_until_its_run_is_logged(self):
        other = self.application(JOBS)
        now = utc_now()

        successes = list(self.tab._run_job(FooJob, self.options, None))

        self.assertEqual((len(successes), self.ran()), (1, ["FooJob"]))
        with self.assertRaises(OngoingJobError):
            other._set_ongoing_job(FooJob)
        self.tab._remember_success(FooJob, successes[0], 0.5)
        self.tab._log_run(FooJob, 86400, None, successes[0], now, *EXCEPTION)
        self.assertEqual(self.row("foo", "ongoing", "owner", "last_success"), (None, None, successes[0]))
        self.assertEqual(self.sql("SELECT app_name, duration FROM crontabber_log"), [("foo", timedelta(seconds=0.5))])
        other._set_ongoing_job(FooJob)

    def test_a_failure_recorded_by_hand_is_one_row_of_the_log(self):
        try:
            list(self.tab._run_job(SadJob, self.tab.config.crontabber["class-SadJob"], None))
        except ValueError:
            error = sys.exc_info()
            self.tab._remember_failure(SadJob, 0.1, *error)
            self.tab._log_run(SadJob, 86400, None, None, utc_now(), *error)

        self.assertEqual(self.row("sad", "error_count", "ongoing", "last_error->>'type'"), (1, None, "<class 'ValueError'>"))
        self.assertEqual(self.sql("SELECT app_name, exc_type FROM crontabber_log"), [("sad", "<class 'ValueError'>")])

    def test_ghosts_and_faults_can_be_queried(self):
        self.tab.job_state_database["ghost"] = {"next_run": None, "first_run": None, "last_run": None, "depends_on": [],
                                                "error_count": 0, "last_error": {}}  # fmt: skip

        self.assertEqual(self.tab._get_ghosts(), ["ghost"])
        self.assertTrue(self.tab._configtest_one(self.options))
        self.options.frequency = "5x"
        self.assertFalse(self.tab._configtest_one(self.options))
        self.logger.critical.assert_called_with("Failed to config test a job", exc_info=True)

    def test_the_application_offers_its_connection_factory_and_executor(self):
        with self.tab.database_connection_factory() as connection:
            self.assertFalse(connection.closed)
        self.assertEqual(self.tab.transaction_executor(lambda connection: connection.closed), 0)

    def test_a_keyboard_interrupt_is_a_failure_of_the_job(self):
        tab = self.application("tests.odd_jobs.InterruptedJob|1d\ntests.jobs.FooJob|1d")

        self.assertEqual((tab.run_all(), self.ran()), (0, ["FooJob"]))
        self.assertEqual(self.row("interrupted", "error_count", "last_error->>'type'"), (1, "<class 'KeyboardInterrupt'>"))
        self.sql("UPDATE crontabber SET next_run = now() - interval '1 minute'")
        self.assertEqual((tab.run_all(), self.ran()), (0, ["FooJob"]))

    def test_only_the_jobs_themselves_log_at_info(self):
        self.tab.run_all()

        self.assertEqual([call.args for call in self.logger.info.call_args_list if not str(call.args[0]).startswith("Creating")],
                         [("Ran %s", "FooJob"), ("Ran %s", "BarJob")])
