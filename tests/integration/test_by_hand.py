"""Applications that override or call what the original offered, as users wrote them."""

import sys
from datetime import timedelta
from unittest import mock

from crontabber.app import CronTabber, OngoingJobError
from crontabber.datetimeutil import utc_now
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
