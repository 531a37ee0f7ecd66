"""`run_job` of crontabber.testing, as authors of jobs call it in their tests."""

import datetime
import sqlite3
import sys
import unittest
from unittest import mock

from configman import Namespace

from crontabber.base import BaseCronApp
from crontabber.errors import ConfigurationError, JobDescriptionError
from crontabber.mixins import (
    as_backfill_cron_app,
    as_single_postgres_transaction,
    using_postgres,
    with_postgres_connection_as_argument,
    with_resource_connection_as_argument,
    with_subprocess,
    with_transactional_resource,
)
from crontabber.testing import run_job
from tests.integration.decorated_jobs import Warehouse
from tests.jobs import FooBackfillJob, FooJob, SadJob

UTC = datetime.timezone.utc
MARCH = [datetime.datetime(2026, 3, day, tzinfo=UTC) for day in range(1, 11)]


class Adder(BaseCronApp):
    app_name = "adder"
    required_config = Namespace()
    required_config.add_option("first", default=1, from_string_converter=int)
    required_config.add_option("date", default="an option, not a date")
    required_config.namespace("more")
    required_config.more.add_option("second", default=2, from_string_converter=int)

    def run(self):
        return self.config.first + self.config.more.second


@as_backfill_cron_app
class Stumbling(BaseCronApp):
    app_name = "stumbling"

    def run(self, date):
        if date.day == 3:
            raise ValueError("the third")
        return date.day


class Inserting(BaseCronApp):
    app_name = "inserting"
    insert = "INSERT INTO notes VALUES (1)"

    def run(self, connection):
        connection.cursor().execute(self.insert)


WithConnection = using_postgres()(with_postgres_connection_as_argument()(type("WithConnection", (Inserting,), {})))
InTransaction = using_postgres()(as_single_postgres_transaction()(type("InTransaction", (Inserting,), {})))


@using_postgres()
class WithFactory(Inserting):
    def run(self):
        with self.database_connection_factory() as connection:
            super().run(connection)


class TestResult(unittest.TestCase):
    def test_it_has_the_return_value_and_the_log(self):
        self.assertEqual(run_job(Adder).returned, 3)
        self.assertEqual(run_job(FooJob).log, ["INFO Ran FooJob"])

    def test_an_error_is_kept_and_raised_on_demand(self):
        result = run_job(SadJob)

        self.assertEqual(repr(result.error), "ValueError('No more tissues')")
        for demand in (result.check, lambda: result.returned):
            with self.assertRaisesRegex(ValueError, "No more tissues"):
                demand()

    def test_check_passes_for_a_job_that_succeeded(self):
        result = run_job(Adder)

        self.assertIs(result.check(), result)
        self.assertIsNone(result.error)

    def test_its_repr_is_one_line(self):
        self.assertEqual(repr(run_job(Adder)), "<JobResult: Adder returned 3>")
        self.assertEqual(repr(run_job(SadJob)), "<JobResult: SadJob raised ValueError('No more tissues')>")

    def test_log_lines_of_a_job_reach_the_tests_handlers(self):
        with self.assertLogs() as logs:
            result = run_job(FooJob)

        self.assertEqual(logs.output, ["INFO:crontabber:Ran FooJob"])
        self.assertEqual(result.records, logs.records)

    def test_only_a_nonzero_exit_is_an_error(self):
        for code, error in ((0, "None"), (3, "SystemExit(3)")):
            with self.subTest(code):
                job = type("Exiting", (FooJob,), {"run": lambda self, code=code: sys.exit(code)})
                self.assertEqual(repr(run_job(job).error), error)

    def test_ctrl_c_is_raised_and_does_not_affect_later_runs(self):
        def interrupted(self):
            raise KeyboardInterrupt

        with self.assertRaises(KeyboardInterrupt):
            run_job(type("Interrupted", (FooJob,), {"run": interrupted}))

        run_job(FooJob).check()


class TestOptions(unittest.TestCase):
    def test_they_are_converted_even_in_nested_namespaces(self):
        self.assertEqual(run_job(Adder, first="40").returned, 42)
        self.assertEqual(run_job(Adder, first=5, more={"second": "6"}).returned, 11)
        self.assertEqual(run_job(Adder, **{"more.second": "6"}).returned, 7)

    def test_an_option_named_like_an_argument_can_be_passed_in_options(self):
        job = type("Dated", (Adder,), {"run": lambda self: self.config.date})

        self.assertEqual(run_job(job, options={"date": "mine"}).returned, "mine")

    def test_unknown_options_and_bad_values_are_refused(self):
        for options, error_class, named in (
            ({"frist": 3}, ConfigurationError, "frist"),
            ({"first": "x"}, ConfigurationError, "first"),
            ({"frequency": "5x"}, JobDescriptionError, "5x"),
        ):
            with self.subTest(options), self.assertRaisesRegex(error_class, named):
                run_job(Adder, **options)

    def test_a_class_that_crontabber_refuses_is_refused_here_too(self):
        for faulty in (type("Nameless", (BaseCronApp,), {}), unittest.TestCase):
            with self.subTest(faulty), self.assertRaises(JobDescriptionError):
                run_job(faulty)

    def test_nothing_is_read_from_the_environment_or_the_command_line(self):
        with mock.patch.dict("os.environ", {"crontabber.class-Adder.first": "10"}), mock.patch("sys.argv", ["x", "--help"]):
            self.assertEqual(run_job(Adder).returned, 3)


class TestDates(unittest.TestCase):
    def test_a_backfill_job_runs_for_the_given_date(self):
        for given in (MARCH[0], datetime.datetime(2026, 3, 1), datetime.date(2026, 3, 1), "2026-03-01", "2026-03-01T00:00+00:00"):
            with self.subTest(given):
                result = run_job(FooBackfillJob, date=given)
                self.assertEqual((result.dates, result.log), ([MARCH[0]], [f"INFO Ran for {MARCH[0]}"]))

    def test_without_a_date_it_runs_for_all_outstanding_dates(self):
        known = {"last_success": MARCH[4]}

        result = run_job(Stumbling, job_information=known, now=MARCH[7])

        self.assertEqual((result.dates, result.returned), (MARCH[5:8], 8))

    def test_a_first_run_has_one_date(self):
        self.assertEqual(run_job(Stumbling, now="2026-03-05").dates, [MARCH[4]])

    def test_its_frequency_is_an_option(self):
        result = run_job(Stumbling, frequency="12h", job_information={"last_success": MARCH[4]}, now=MARCH[5])

        self.assertEqual(result.dates, [datetime.datetime(2026, 3, 5, 12, tzinfo=UTC), MARCH[5]])

    def test_it_stops_at_a_date_that_fails(self):
        result = run_job(Stumbling, job_information={"last_success": MARCH[0]}, now=MARCH[5])

        self.assertEqual((result.dates, str(result.error)), ([MARCH[1]], "the third"))

    def test_other_jobs_accept_no_date(self):
        with self.assertRaisesRegex(TypeError, "FooJob is not a backfill job"):
            run_job(FooJob, date="2026-03-01")


class TestJobInformation(unittest.TestCase):
    job = type("Remembering", (FooJob,), {"run": lambda self: self.job_information})

    def test_a_first_run_has_none(self):
        self.assertIsNone(run_job(self.job).returned)

    def test_missing_keys_get_their_defaults(self):
        information = run_job(self.job, job_information={"error_count": 2, "next_run": MARCH[0]}).returned

        self.assertEqual(information, {
            "next_run": MARCH[0], "first_run": None, "last_run": None, "last_success": None, "depends_on": [],
            "error_count": 2, "last_error": {}, "ongoing": None,
        })  # fmt: skip

    def test_the_result_has_the_information_for_the_next_run(self):
        first = run_job(SadJob, now=MARCH[0]).job_information
        second = run_job(SadJob, now=MARCH[1], job_information=first).job_information

        self.assertEqual((second["error_count"], second["first_run"], second["last_run"]), (2, MARCH[0], MARCH[1]))
        self.assertEqual(second["last_error"]["value"], "No more tissues")


class TestConnections(unittest.TestCase):
    def test_a_mock_is_passed_to_the_job_and_never_closed(self):
        execute = mock.call.cursor().execute(Inserting.insert)
        for job, committed in ((WithFactory, 0), (WithConnection, 0), (InTransaction, 1)):
            with self.subTest(job.__name__):
                connection = mock.Mock()
                run_job(job, connection=connection).check()
                self.assertIn(execute, connection.mock_calls)
                self.assertEqual((connection.commit.call_count, connection.rollback.call_count), (committed, 0))
                connection.close.assert_not_called()

    def test_a_transaction_that_fails_is_rolled_back(self):
        connection = mock.Mock()
        connection.cursor().execute.side_effect = ValueError("no such table")

        result = run_job(InTransaction, connection=connection)

        self.assertEqual(str(result.error), "no such table")
        connection.rollback.assert_called_once_with()
        connection.commit.assert_not_called()

    def test_any_db_api_connection_works(self):
        connection = sqlite3.connect(":memory:")
        self.addCleanup(connection.close)
        connection.execute("CREATE TABLE notes (note int)")

        run_job(InTransaction, connection=connection).check()
        connection.rollback()

        self.assertEqual(connection.execute("SELECT note FROM notes").fetchall(), [(1,)])

    def test_a_job_keeps_the_options_of_its_resource(self):
        job = with_transactional_resource(Warehouse, "warehouse")(
            type("Job", (FooJob,), {"run": lambda self: self.config.warehouse.path})
        )

        self.assertEqual(run_job(job, connection=mock.Mock(), warehouse={"path": "/a"}).returned, "/a")

    def test_each_of_several_resources_may_have_its_own_connection(self):
        @using_postgres()
        @with_transactional_resource(Warehouse, "warehouse")
        @with_resource_connection_as_argument("warehouse")
        @with_postgres_connection_as_argument()
        class Both(BaseCronApp):
            app_name = "both"

            def run(self, *connections):
                return connections

        self.assertEqual(run_job(Both, connection="one").returned, ("one", "one"))
        self.assertEqual(run_job(Both, connection={"database": "a", "warehouse": "b"}).returned, ("a", "b"))

    def test_the_error_names_the_job_that_cannot_use_a_connection(self):
        for job, connection, message in (
            (FooJob, "one", "FooJob does not take a connection"),
            (InTransaction, {"warehouse": "b"}, "InTransaction has no resource 'warehouse'; it has database"),
        ):
            with self.subTest(job.__name__), self.assertRaisesRegex(TypeError, message):
                run_job(job, connection=connection)

    def test_a_backfill_job_gets_its_connection_before_its_date(self):
        job = using_postgres()(as_single_postgres_transaction()(as_backfill_cron_app(
            type("Job", (FooJob,), {"run": lambda self, *arguments: arguments})
        )))  # fmt: skip

        connection = mock.Mock()
        self.assertEqual(run_job(job, date="2026-03-01", connection=connection).returned, (connection, MARCH[0]))


class TestSubprocesses(unittest.TestCase):
    def test_they_run(self):
        job = with_subprocess(type("Job", (FooJob,), {"run": lambda self: self.run_process(["echo", "hello"])}))

        self.assertEqual(run_job(job).returned, (0, "hello", ""))
