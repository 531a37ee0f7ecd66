import sqlite3
import unittest
from unittest.mock import MagicMock

from crontabber.dbapi2_util import (
    DBApiUtilNonFatalBaseException,
    SQLDidNotReturnSingleRow,
    SQLDidNotReturnSingleValue,
    execute_no_results,
    execute_query_fetchall,
    execute_query_iter,
    single_row_sql,
    single_value_sql,
)

TWO_ROWS = "SELECT 1, 'one' UNION SELECT 2, 'two'"
NO_ROW = "SELECT 1, 'one' WHERE false"


class WatchedCursor(sqlite3.Cursor):
    closed = False

    def close(self):
        self.closed = True
        super().close()


class WatchedConnection(sqlite3.Connection):
    def cursor(self):
        self.last_cursor = super().cursor(WatchedCursor)
        return self.last_cursor


class TestDbapi2Util(unittest.TestCase):
    def setUp(self):
        self.connection = sqlite3.connect(":memory:", factory=WatchedConnection)
        self.addCleanup(self.connection.close)

    def test_each_function_returns_its_answer_and_closes_its_cursor(self):
        cases = [
            # function, sql, parameters, answer
            (single_value_sql, "SELECT 17", None, 17),
            (single_value_sql, TWO_ROWS, None, 1),
            (single_value_sql, "SELECT ?", (5,), 5),
            (single_value_sql, "SELECT NULL", None, None),
            (single_row_sql, TWO_ROWS, None, (1, "one")),
            (single_row_sql, "SELECT :a, :b", {"a": 1, "b": 2}, (1, 2)),
            (execute_query_fetchall, TWO_ROWS, None, [(1, "one"), (2, "two")]),
            (execute_query_fetchall, NO_ROW, None, []),
            (execute_no_results, "CREATE TABLE t (i)", None, None),
            (execute_no_results, "INSERT INTO t VALUES (?)", (1,), None),
        ]
        for function, sql, parameters, answer in cases:
            with self.subTest(function.__name__, sql=sql):
                self.assertEqual(function(self.connection, sql, parameters), answer)
                self.assertTrue(self.connection.last_cursor.closed)

    def test_a_missing_row_raises_an_error_that_quotes_the_sql(self):
        cases = [
            (single_value_sql, NO_ROW, SQLDidNotReturnSingleValue, "no value returned by: "),
            (single_row_sql, NO_ROW, SQLDidNotReturnSingleRow, "no row returned by: "),
            (single_value_sql, "CREATE TABLE t (i)", SQLDidNotReturnSingleValue, "no value returned by: "),
        ]
        for function, sql, error_class, message in cases:
            with self.subTest(function.__name__, sql=sql):
                with self.assertRaises(error_class) as raised:
                    function(self.connection, sql)

                self.assertEqual(str(raised.exception), message + sql)
                self.assertIsInstance(raised.exception, DBApiUtilNonFatalBaseException)

    def test_a_statement_that_fails_leaves_no_cursor_open(self):
        for function in (single_value_sql, single_row_sql, execute_query_fetchall, execute_no_results):
            with self.subTest(function.__name__):
                with self.assertRaises(sqlite3.OperationalError):
                    function(self.connection, "SELECT * FROM no_such_table")

                self.assertTrue(self.connection.last_cursor.closed)

    def test_rows_can_be_iterated_while_the_connection_runs_other_statements(self):
        execute_no_results(self.connection, "CREATE TABLE t (i)")
        numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1234) SELECT i FROM n"

        for row in execute_query_iter(self.connection, numbers):
            execute_no_results(self.connection, "INSERT INTO t VALUES (?)", row)

        self.assertEqual(single_row_sql(self.connection, "SELECT count(*), sum(i) FROM t"), (1234, 1234 * 1235 // 2))

    def test_a_mock_cursor_needs_only_the_basic_methods(self):
        class Cursor:
            def __init__(self):
                self.rows = [(1,), (2,)]

            def execute(self, *args):
                pass

            def fetchone(self):
                return self.rows.pop(0) if self.rows else None

            def close(self):
                pass

        class Connection:
            def cursor(self):
                return Cursor()

        self.assertEqual(list(execute_query_iter(Connection(), TWO_ROWS)), [(1,), (2,)])
        self.assertEqual(single_value_sql(Connection(), TWO_ROWS), 1)
        mocked = MagicMock()
        mocked.cursor.return_value.fetchone.side_effect = [(1,), None]
        self.assertEqual(list(execute_query_iter(mocked, TWO_ROWS)), [(1,)])

    def test_an_abandoned_iteration_leaves_no_cursor_open(self):
        rows = execute_query_iter(self.connection, TWO_ROWS)

        self.assertEqual(next(rows), (1, "one"))
        self.assertFalse(self.connection.last_cursor.closed)
        rows.close()

        self.assertTrue(self.connection.last_cursor.closed)
