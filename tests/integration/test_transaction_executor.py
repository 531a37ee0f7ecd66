import logging
import os
import signal
import sys
import threading
from contextlib import suppress
from types import SimpleNamespace
from unittest import mock

import psycopg2
from psycopg2.extensions import TRANSACTION_STATUS_IDLE

from crontabber.connection_factory import ConnectionFactory
from crontabber.dbapi2_util import (
    SQLDidNotReturnSingleValue,
    execute_no_results,
    execute_query_iter,
    single_value_sql,
)
from crontabber.store.connections import Canceller
from crontabber.transaction_executor import (
    TransactionExecutor,
    TransactionExecutorWithInfiniteBackoff,
    TransactionExecutorWithLimitedBackoff,
)
from tests.support import DatabaseTestCase, connection_options

LOGGER = logging.getLogger("tests.integration.transaction_executor")
LOGGER.propagate = False
LOGGER.addHandler(logging.NullHandler())
INSERT = "INSERT INTO notes VALUES (%s)"


def insert(connection, note):
    execute_no_results(connection, INSERT, (note,))


class WatchedFactory(ConnectionFactory):
    """A real factory that remembers the connections that it gave."""

    def __init__(self, config):
        super().__init__(config)
        self.given = []

    def connection(self, name=None):
        connection = super().connection(name)
        self.given.append(connection)
        return connection


class ExecutorTestCase(DatabaseTestCase):
    def setUp(self):
        super().setUp()
        self.sql("CREATE TABLE notes (note text PRIMARY KEY)")
        self.factory = WatchedFactory(connection_options())
        sleep = mock.patch("crontabber.transaction_executor.time.sleep")
        self.sleep = sleep.start()
        self.addCleanup(sleep.stop)

    def executor(self, executor_class=TransactionExecutor):
        options = SimpleNamespace(logger=LOGGER, backoff_delays=[1, 2], wait_log_interval=10)
        return executor_class(options, self.factory)

    def notes(self):
        return [note for (note,) in self.sql("SELECT note FROM notes ORDER BY note")]

    def assert_no_transaction_is_open(self):
        self.assertNotEqual(self.factory.given, [])
        for connection in self.factory.given:
            self.assertTrue(connection.closed or connection.get_transaction_status() == TRANSACTION_STATUS_IDLE)


class TestTransactions(ExecutorTestCase):
    def test_a_function_is_committed_at_once(self):
        count = self.executor()(lambda connection: insert(connection, "a") or single_value_sql(connection, "SELECT 7"))

        self.assertEqual((count, self.notes()), (7, ["a"]))
        self.assert_no_transaction_is_open()

    def test_it_rolls_back_however_the_function_ends(self):
        handler = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.addCleanup(signal.signal, signal.SIGINT, handler)
        endings = [
            (ValueError, raise_one),
            (TimeoutError, time_out),
            (SystemExit, lambda connection: sys.exit(0)),
            (KeyboardInterrupt, lambda connection: os.kill(os.getpid(), signal.SIGINT)),
            (KeyboardInterrupt, self.interrupt_in_database),
            (psycopg2.IntegrityError, lambda connection: insert(connection, "a")),
            (psycopg2.errors.QueryCanceled, time_out_in_database),
            (psycopg2.OperationalError, self.terminate),
            (psycopg2.InterfaceError, lambda connection: connection.close()),
        ]
        for error_class, end in endings:
            with self.subTest(error_class.__name__, end=end):
                with self.assertRaises(error_class):
                    self.executor()(insert_and, "a", end)

                self.assertEqual(self.notes(), [])
                self.assert_no_transaction_is_open()

    def terminate(self, connection):
        self.sql("SELECT pg_terminate_backend(%s, 5000)", (connection.info.backend_pid,))

    def interrupt_in_database(self, connection):
        """Interrupt as generic_app does: the main thread waits inside libpq, and another thread cancels the statement."""
        waits = "SELECT pg_sleep(0.01), count(*) FROM pg_stat_activity WHERE pid = %s AND wait_event = 'PgSleep'"

        def interrupt():
            while not self.sql(waits, (connection.info.backend_pid,))[0][1]:
                pass
            os.kill(os.getpid(), signal.SIGINT)
            Canceller()()

        thread = threading.Thread(target=interrupt)
        thread.start()
        try:
            connection.cursor().execute("SELECT pg_sleep(60)")
        finally:
            thread.join()

    def test_a_swallowed_error_rolls_back_and_is_reported(self):
        def insert_twice(connection):
            insert(connection, "a")
            with suppress(self.factory.IntegrityError):
                insert(connection, "a")

        with self.assertLogs(LOGGER, "WARNING") as logs:
            self.executor()(insert_twice)

        self.assertEqual(self.notes(), [])
        message = "an error in this transaction was ignored, so all of it is rolled back"
        self.assertEqual([record.getMessage() for record in logs.records], [message])

    def test_a_statement_that_returns_nothing_is_reported(self):
        for statement in ("CREATE TABLE t ()", "SELECT"):
            with self.subTest(statement), self.assertRaises(SQLDidNotReturnSingleValue):
                self.executor()(single_value_sql, statement)

    def test_a_large_result_is_read_while_the_same_connection_is_committed(self):
        def copy(connection):
            for (number,) in execute_query_iter(connection, "SELECT generate_series(1, 20000)"):
                if number % 5000 == 0:
                    insert(connection, number)
                    connection.commit()

        self.executor()(copy)

        self.assertEqual(self.notes(), ["10000", "15000", "20000", "5000"])


class TestBackoff(ExecutorTestCase):
    def test_a_function_whose_backend_was_terminated_runs_again_on_a_new_connection(self):
        for executor_class in (TransactionExecutorWithInfiniteBackoff, TransactionExecutorWithLimitedBackoff):
            with self.subTest(executor_class.__name__):
                self.sql("DELETE FROM notes")
                self.factory.given.clear()

                self.executor(executor_class)(self.insert_and_lose_the_first)

                self.assertEqual((self.notes(), len(self.factory.given)), (["a"], 2))
                self.assert_no_transaction_is_open()

    def insert_and_lose_the_first(self, connection):
        insert(connection, "a")
        if len(self.factory.given) == 1:
            self.sql("SELECT pg_terminate_backend(%s, 5000)", (connection.info.backend_pid,))
            connection.cursor().execute("SELECT 1")

    def test_limited_backoff_raises_the_error_of_a_server_that_stays_away(self):
        self.factory = WatchedFactory(connection_options() | {"host": str(self.folder)})

        with self.assertRaisesRegex(psycopg2.OperationalError, "No such file or directory"):
            self.executor(TransactionExecutorWithLimitedBackoff)(insert, "a")

        self.assertEqual(self.sleep.mock_calls, [mock.call(1)] * 3)

    def test_a_commit_whose_connection_was_lost_is_not_retried(self):
        def lose(connection):
            insert(connection, "a")
            self.sql("SELECT pg_terminate_backend(%s, 5000)", (connection.info.backend_pid,))

        with self.assertRaises(psycopg2.OperationalError):
            self.executor(TransactionExecutorWithInfiniteBackoff)(lose)

        self.assertEqual((self.notes(), len(self.factory.given)), ([], 1))

    def test_a_cancelled_statement_is_not_retried(self):
        with self.assertRaises(psycopg2.errors.QueryCanceled):
            self.executor(TransactionExecutorWithInfiniteBackoff)(time_out_in_database)

        self.assertEqual(len(self.factory.given), 1)


def insert_and(connection, note, end):
    insert(connection, note)
    end(connection)


def raise_one(connection):
    raise ValueError("no")


def time_out(connection):
    raise TimeoutError("too long")


def time_out_in_database(connection):
    connection.cursor().execute("SET LOCAL statement_timeout = 10; SELECT pg_sleep(60)")
