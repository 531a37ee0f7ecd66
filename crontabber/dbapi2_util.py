"""Run one SQL statement: functions of (connection, sql, parameters) that leave no cursor open.

Each can be passed to a transaction executor: `executor(single_value_sql, "SELECT count(*) FROM t")`.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

Row = Sequence[Any]


class DBApiUtilNonFatalBaseException(Exception):
    """An error that is not the connection's fault: an executor rolls back and raises it again."""


class SQLDidNotReturnSingleValue(DBApiUtilNonFatalBaseException):
    """A query for one value returned no row."""


class SQLDidNotReturnSingleRow(DBApiUtilNonFatalBaseException):
    """A query for one row returned no row."""


def single_value_sql(connection: Any, sql: str, parameters: Any = None) -> Any:
    """Return the first value of the first row, None for NULL. SQLDidNotReturnSingleValue if there is no row."""
    row = _first_row(connection, sql, parameters)
    if row is None:
        raise SQLDidNotReturnSingleValue(f"no value returned by: {sql}")
    return row[0]


def single_row_sql(connection: Any, sql: str, parameters: Any = None) -> Row:
    """Return the first row, a tuple. SQLDidNotReturnSingleRow if there is none."""
    row = _first_row(connection, sql, parameters)
    if row is None:
        raise SQLDidNotReturnSingleRow(f"no row returned by: {sql}")
    return row


def execute_query_iter(connection: Any, sql: str, parameters: Any = None) -> Iterator[Row]:
    """Yield the rows one by one. The query is executed when the first row is requested.

    The client holds the whole result, so that the loop may commit, or use the connection for other statements.
    """
    with _executed(connection, sql, parameters) as cursor:
        yield from iter(cursor.fetchone, None)


def execute_query_fetchall(connection: Any, sql: str, parameters: Any = None) -> list[Row]:
    """Return all rows, each a tuple; an empty list if there is none."""
    with _executed(connection, sql, parameters) as cursor:
        return list(cursor.fetchall())


def execute_no_results(connection: Any, sql: str, parameters: Any = None) -> None:
    """Execute a statement for its effect."""
    with _executed(connection, sql, parameters):
        pass


def _first_row(connection: Any, sql: str, parameters: Any) -> Row | None:
    with _executed(connection, sql, parameters) as cursor:
        # Test doubles of a cursor may have no description.
        return cursor.fetchone() if getattr(cursor, "description", True) else None


@contextmanager
def _executed(connection: Any, sql: str, parameters: Any) -> Iterator[Any]:
    with closing(connection.cursor()) as cursor:
        # Some drivers would take None for a set of parameters.
        cursor.execute(*((sql,) if parameters is None else (sql, parameters)))
        yield cursor
