import logging
import sqlite3
import tempfile
import unittest
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

from crontabber.dbapi2_util import DBApiUtilNonFatalBaseException
from crontabber.errors import CrontabberError
from crontabber.transaction_executor import (
    TransactionExecutor,
    TransactionExecutorWithInfiniteBackoff,
    TransactionExecutorWithLimitedBackoff,
    string_to_list_of_ints,
)

LOGGER = "tests.transaction_executor"
logging.getLogger(LOGGER).propagate = False
logging.getLogger(LOGGER).addHandler(logging.NullHandler())


class WarehouseClosed(Exception):
    """The error that this source calls operational."""


class Warehouse:
    """A connection source that is not PostgreSQL. Errors that break its connections are WarehouseClosed."""

    def __init__(self, path, refusals=0):
        self.path = path
        self.refusals = refusals
        self.dropped = []

    @contextmanager
    def __call__(self, name=None):
        if self.refusals:
            self.refusals -= 1
            raise WarehouseClosed("come back later")
        connection = sqlite3.connect(self.path)
        try:
            yield connection
        finally:
            connection.close()

    def close_connection(self, connection, force=False):
        self.dropped.append(force)
        connection.close()

    def is_operational_exception(self, error):
        return isinstance(error, WarehouseClosed)


class KeepingWarehouse(Warehouse):
    """Keeps its connection for the next caller."""

    def __init__(self, path):
        super().__init__(path)
        self.kept = sqlite3.connect(path)

    @contextmanager
    def __call__(self, name=None):
        yield self.kept


class GloomyWarehouse(Warehouse):
    """Calls every error operational."""

    def is_operational_exception(self, error):
        return True


def add(connection, name):
    return connection.execute("INSERT INTO goods VALUES (?)", (name,)).rowcount


class ExecutorTestCase(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "warehouse"
        self.query("CREATE TABLE goods (name)")
        self.source = Warehouse(self.path)
        self.slept = []
        sleep = mock.patch("crontabber.transaction_executor.time.sleep", self.slept.append)
        sleep.start()
        self.addCleanup(sleep.stop)

    def query(self, statement):
        connection = sqlite3.connect(self.path)
        try:
            with connection:
                return connection.execute(statement).fetchall()
        finally:
            connection.close()

    def goods(self):
        return [name for (name,) in self.query("SELECT name FROM goods ORDER BY name")]

    def executor(self, executor_class, delays=(2, 3), wait_log_interval=10, quit_check=None):
        options = SimpleNamespace(
            logger=logging.getLogger(LOGGER), backoff_delays=list(delays), wait_log_interval=wait_log_interval
        )
        return executor_class(options, self.source, quit_check)


class EveryExecutor:
    """Tests for each of the three executors; each has its own test case below."""

    executor_class = TransactionExecutor

    def tried(self, function, *args, **kwargs):
        return self.executor(self.executor_class)(function, *args, **kwargs)

    def test_it_commits_and_returns_the_result_of_the_function(self):
        self.assertEqual(self.tried(add, name="apple"), 1)
        self.assertEqual(self.goods(), ["apple"])

    def test_it_rolls_back_for_every_exception(self):
        own = DBApiUtilNonFatalBaseException("nothing found")
        errors = (ValueError("no"), KeyboardInterrupt(), SystemExit(3), GeneratorExit(), TimeoutError(), own)
        for error in errors:
            with self.assertRaises(type(error)) as raised:
                self.tried(self.add_and_raise, error)

            self.assertIs(raised.exception, error)
            self.assertEqual(self.goods(), [])
        self.assertEqual(self.source.dropped, [])

    def test_a_failure_leaves_nothing_in_a_kept_connection(self):
        self.source = KeepingWarehouse(self.path)
        self.addCleanup(self.source.kept.close)
        for error in (ValueError(), KeyboardInterrupt(), SystemExit()):
            with self.assertRaises(type(error)):
                self.tried(self.add_and_raise, error)

        self.tried(add, "pear")

        self.assertEqual(self.goods(), ["pear"])

    def test_an_error_that_the_source_calls_operational_drops_the_connection(self):
        attempts = iter([WarehouseClosed("fire"), ValueError("give up")])

        with self.assertRaises((WarehouseClosed, ValueError)):
            self.tried(lambda connection: self.add_and_raise(connection, next(attempts)))

        self.assertEqual((self.source.dropped, self.goods()), ([True], []))

    def test_a_failed_commit_is_never_retried(self):
        class Ruined(sqlite3.Connection):
            def commit(self):
                raise WarehouseClosed("it is unknown whether it was delivered")

        with mock.patch("sqlite3.connect", lambda path: Ruined(path)), self.assertRaises(WarehouseClosed):
            self.tried(add, "apple")

        self.assertEqual((self.source.dropped, self.goods()), ([True], []))

    def test_a_failed_rollback_drops_the_connection_and_raises_the_first_error(self):
        def close_and_fail(connection):
            connection.close()
            raise ValueError("first")

        with self.assertRaisesRegex(ValueError, "first"):
            self.tried(close_and_fail)

        self.assertEqual(self.source.dropped, [True])

    def test_other_errors_are_neither_logged_nor_retried(self):
        self.source = GloomyWarehouse(self.path)

        with self.assertLogs(LOGGER) as logs, self.assertRaises(DBApiUtilNonFatalBaseException):
            logging.getLogger(LOGGER).info("the only one")
            self.tried(self.add_and_raise, DBApiUtilNonFatalBaseException("nothing found"))

        self.assertEqual((len(logs.records), self.source.dropped, self.slept), (1, [], []))

    @staticmethod
    def add_and_raise(connection, error):
        add(connection, "apple")
        raise error


class TestTransactionExecutor(EveryExecutor, ExecutorTestCase):
    pass


class TestInfiniteBackoff(EveryExecutor, ExecutorTestCase):
    executor_class = TransactionExecutorWithInfiniteBackoff


class TestLimitedBackoff(EveryExecutor, ExecutorTestCase):
    executor_class = TransactionExecutorWithLimitedBackoff


class TestBackoff(ExecutorTestCase):
    def test_without_backoff_the_first_error_is_raised(self):
        self.source.refusals = 1

        with self.assertRaises(WarehouseClosed):
            self.executor(TransactionExecutor)(add, "apple")

        self.assertEqual(self.slept, [])

    def test_it_waits_each_delay_in_one_second_steps_and_then_succeeds(self):
        self.source.refusals = 2

        self.executor(TransactionExecutorWithLimitedBackoff)(add, "apple")

        self.assertEqual((self.slept, self.goods()), ([1] * (2 + 3), ["apple"]))

    def test_limited_backoff_raises_the_original_error_after_the_last_delay(self):
        self.source.refusals = 3

        with self.assertRaisesRegex(WarehouseClosed, "^come back later$"):
            self.executor(TransactionExecutorWithLimitedBackoff)(add, "apple")

        self.assertEqual(self.slept, [1] * (2 + 3))

    def test_infinite_backoff_repeats_the_last_delay(self):
        self.source.refusals = 5

        self.executor(TransactionExecutorWithInfiniteBackoff)(add, "apple")

        self.assertEqual((self.slept, self.goods()), ([1] * (2 + 3 + 3 + 3 + 3), ["apple"]))

    def test_a_failed_attempt_leaves_nothing_behind(self):
        errors = [WarehouseClosed("fire")]

        def add_pear(connection):
            add(connection, "pear")
            if errors:
                raise errors.pop()

        self.executor(TransactionExecutorWithInfiniteBackoff)(add_pear)

        self.assertEqual(self.goods(), ["pear"])

    def test_the_quit_check_runs_each_second_and_may_end_the_wait(self):
        self.source.refusals = 9
        seconds = iter(range(4))

        def quit_check():
            if next(seconds, None) is None:
                raise KeyboardInterrupt

        with self.assertRaises(KeyboardInterrupt):
            self.executor(TransactionExecutorWithInfiniteBackoff, quit_check=quit_check)(add, "apple")

        self.assertEqual(self.slept, [1] * 4)

    def test_it_logs_what_it_waits_for(self):
        self.source.refusals = 1

        with self.assertLogs(LOGGER, "DEBUG") as logs:
            self.executor(TransactionExecutorWithLimitedBackoff, delays=[5], wait_log_interval=2)(add, "apple")

        self.assertEqual(
            [record.getMessage() for record in logs.records],
            [
                "WarehouseClosed: come back later; retrying in 5 s",
                "waiting to retry (Warehouse): 2 of 5 s",
                "waiting to retry (Warehouse): 4 of 5 s",
            ],
        )

    def test_an_interval_of_zero_logs_nothing_while_it_waits(self):
        self.source.refusals = 1

        with self.assertLogs(LOGGER) as logs:
            self.executor(TransactionExecutorWithLimitedBackoff, delays=[5], wait_log_interval=0)(add, "apple")

        self.assertEqual(len(logs.records), 1)


class TestListOfSeconds(unittest.TestCase):
    def test_it_reads_numbers_between_commas(self):
        for text, numbers in {"10, 30, 60": [10, 30, 60], "5": [5], " 1,2 ": [1, 2], "[1, 2]": [1, 2]}.items():
            with self.subTest(text):
                self.assertEqual(string_to_list_of_ints(text), numbers)

    def test_it_refuses_and_quotes_anything_else(self):
        for text in ("", "soon", "10;20", "1.5", "10, -1", "10,"):
            with self.subTest(text), self.assertRaises(CrontabberError) as raised:
                string_to_list_of_ints(text)

            self.assertEqual(
                str(raised.exception),
                f"backoff_delays: {text!r} is not a list of seconds: expected, for example, 10, 30, 60",
            )
