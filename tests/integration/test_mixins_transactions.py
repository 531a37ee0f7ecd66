import time
from datetime import datetime, timedelta

from crontabber.base import BaseCronApp
from crontabber.datetimeutil import UTC
from crontabber.mixins import (
    as_backfill_cron_app,
    as_single_postgres_transaction,
    using_postgres,
    with_postgres_connection_as_argument,
)
from tests.integration.decorated_jobs import (
    EndsTestCase,
    Keeping,
    SingleTransaction,
    WithConnection,
    job_of,
    note,
    note_commit_and_note,
    raising,
    run,
)
from tests.support import assert_within, connect, is_running, wait_until


class TestConnectionAsArgument(EndsTestCase):
    def test_run_controls_the_transactions_of_its_connection(self):
        job = job_of(WithConnection)
        job.use = note_commit_and_note

        run(job)

        self.assertEqual((self.notes(), job.connections[0].closed), (["committed"], 1))

    def test_the_connection_is_closed_however_the_run_ends(self):
        for error_class, end in self.bad_endings():
            with self.subTest(error_class.__name__):
                job = job_of(WithConnection)
                job.use = end

                with self.assertRaises(error_class):
                    run(job)

                self.assertNotEqual(job.connections[0].closed, 0)
                self.assertEqual(self.notes(), [])

    def test_the_result_of_run_is_passed_on(self):
        @using_postgres()
        @with_postgres_connection_as_argument()
        class Job(BaseCronApp):
            def run(self, connection):
                return "done"

        self.assertEqual(job_of(Job)._run_proxy(), "done")


class TestSingleTransaction(EndsTestCase):
    def test_run_is_committed_when_it_returns_and_the_connection_closed(self):
        job = job_of(SingleTransaction)
        job.use = lambda connection: note(connection, "a")

        run(job)

        self.assertEqual((self.notes(), job.connections[0].closed), (["a"], 1))

    def test_it_is_rolled_back_however_the_run_ends(self):
        for error_class, end in self.bad_endings():
            with self.subTest(error_class.__name__):
                job = job_of(SingleTransaction)
                job.use = lambda connection, end=end: (note(connection, "a"), end(connection))

                with self.assertRaises(error_class):
                    run(job)

                self.assertNotEqual(job.connections[0].closed, 0)
                self.assertEqual(self.notes(), [])

    def test_the_call_before_the_commit_is_part_of_the_transaction(self):
        job = job_of(SingleTransaction)
        job.use = lambda connection: note(connection, "by run")
        job._before_commit = lambda connection: note(connection, f"before the commit there is {self.notes()}")

        run(job)

        self.assertEqual(self.notes(), ["before the commit there is []", "by run"])

    def test_it_is_rolled_back_if_the_call_before_the_commit_raises(self):
        job = job_of(SingleTransaction)
        job.use = lambda connection: note(connection, "by run")
        job._before_commit = raising(RuntimeError)

        with self.assertRaises(RuntimeError):
            run(job)

        self.assertEqual(self.notes(), [])

    def test_nothing_is_called_before_the_commit_if_run_fails(self):
        job = job_of(SingleTransaction)
        job.use = raising(ValueError)
        job._before_commit = self.fail

        with self.assertRaises(ValueError):
            run(job)


class TestBackfill(EndsTestCase):
    def missed_three_dates(self):
        """Return the state of a job of `1h` that has missed three dates, and these dates."""
        last = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)
        information = {"first_run": last, "last_run": last, "last_success": last, "next_run": last + timedelta(hours=1)}
        return information, [last + timedelta(hours=n) for n in (1, 2, 3)]

    def test_run_gets_each_date_whatever_the_order_of_the_decorators(self):
        information, dates = self.missed_three_dates()
        decorators = [as_backfill_cron_app, using_postgres(), as_single_postgres_transaction()]
        for order in ([0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]):
            with self.subTest(order=order):
                job_class = type("Job", (Keeping,), {})
                for n in order:
                    job_class = decorators[n](job_class)
                job = job_of(job_class, information)
                settled = []
                job._before_commit = lambda connection, date, settled=settled: settled.append(date)

                self.assertEqual(run(job), dates)

                self.assertEqual([args[1:] for args in job.got], [(date,) for date in dates])
                self.assertEqual(settled, dates)
                self.assertTrue(job_class._is_backfill_app and all(c.closed for c in job.connections))

    def test_each_date_is_a_transaction_of_its_own(self):
        information, dates = self.missed_three_dates()
        job = job_of(as_backfill_cron_app(type("Job", (SingleTransaction,), {})), information)

        def fail_at_the_second(connection):
            note(connection, str(job.got[-1][1]))
            if len(job.got) == 2:
                raise ValueError

        job.use = fail_at_the_second
        success = job.main()

        self.assertEqual(next(success), dates[0])
        with self.assertRaises(ValueError):
            next(success)
        self.assertEqual(self.notes(), [str(dates[0])])

    def test_decorating_a_class_makes_no_other_a_backfill(self):
        class Base(Keeping):
            pass

        backfill = as_backfill_cron_app(type("Job", (Base,), {}))

        self.assertEqual([hasattr(c, "_is_backfill_app") for c in (backfill, Base, BaseCronApp)], [True, False, False])
        self.assertEqual(len(run(job_of(Base))), 1)

    def test_a_subclass_of_a_backfill_is_one_even_with_once(self):
        information, dates = self.missed_three_dates()
        derived = type("Derived", (as_backfill_cron_app(type("Job", (Keeping,), {})),), {})

        for arguments in ({}, {"once": True}):
            with self.subTest(arguments):
                self.assertEqual(list(job_of(derived, information).main(**arguments)), dates)


class TestSignals(EndsTestCase):
    """A real crontabber that gets SIGTERM while its job waits."""

    JOBS = """
        from crontabber.base import BaseCronApp
        from crontabber.mixins import *

        @with_subprocess
        class Commanding(BaseCronApp):
            app_name = "commanding"

            def run(self):
                self.run_process("echo $$ > pids; sleep 60 & echo $! >> pids; wait")

        @using_postgres()
        @as_single_postgres_transaction()
        class Waiting(BaseCronApp):
            app_name = "waiting"

            def run(self, connection):
                cursor = connection.cursor()
                cursor.execute("INSERT INTO notes VALUES ('not committed')")
                cursor.execute("LOCK TABLE locked")
        """

    def end_by_sigterm(self, job, is_waiting):
        """Send SIGTERM as soon as the job waits; return the exit code, and how many seconds the end took."""
        self.write_module("waiting_jobs", self.JOBS)
        self.ini(f"waiting_jobs.{job}|1d")
        process = self.start()
        wait_until(is_waiting, "the job does not wait")
        sent = time.monotonic()
        process.terminate()
        _, stderr = process.communicate(timeout=30)
        self.assertIn("Interrupted", stderr)
        return process.returncode, time.monotonic() - sent

    def test_a_command_ends_with_its_job(self):
        pids = self.folder / "pids"

        exit_code, seconds = self.end_by_sigterm("Commanding", lambda: pids.exists() and pids.read_text().count("\n") == 2)

        self.assertEqual((exit_code, self.row("commanding", "last_error->>'value'")), (143, "stopped by SIGTERM"))
        assert_within(1, seconds)
        wait_until(lambda: not any(map(is_running, pids.read_text().split())), "a command is left")

    def test_a_transaction_that_waits_for_a_lock_is_rolled_back_at_once(self):
        self.sql("CREATE TABLE locked ()")
        other = connect()
        self.addCleanup(other.close)
        other.cursor().execute("BEGIN; LOCK TABLE locked")

        exit_code, seconds = self.end_by_sigterm("Waiting", lambda: self.sql("SELECT 1 FROM pg_locks WHERE NOT granted"))

        self.assertEqual((exit_code, self.row("waiting", "last_error->>'value'"), self.notes()), (143, "stopped by SIGTERM", []))
        assert_within(1, seconds)
