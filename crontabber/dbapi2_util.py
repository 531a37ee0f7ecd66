"""Ask a database one question: functions of (connection, sql, parameters) that leave no cursor open.

Each fits a transaction executor: `executor(single_value_sql, "SELECT count(*) FROM t")`.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

Row = Sequence[Any]


class DBApiUtilNonFatalBaseException(Exception):
    """An error that says nothing against the connection: an executor rolls back and passes it on."""


class SQLDidNotReturnSingleValue(DBApiUtilNonFatalBaseException):
    """There was no row to take the value from."""


class SQLDidNotReturnSingleRow(DBApiUtilNonFatalBaseException):
    """There was no row."""


def single_value_sql(connection: Any, sql: str, parameters: Any = None) -> Any:
    """The first value of the first row. SQLDidNotReturnSingleValue if there is none."""
    row = _first_row(connection, sql, parameters)
    if row is None:
        raise SQLDidNotReturnSingleValue(f"this returned no value: {sql}")
    return row[0]


def single_row_sql(connection: Any, sql: str, parameters: Any = None) -> Row:
    """The first row. SQLDidNotReturnSingleRow if there is none."""
    row = _first_row(connection, sql, parameters)
    if row is None:
        raise SQLDidNotReturnSingleRow(f"this returned no row: {sql}")
    return row


def execute_query_iter(connection: Any, sql: str, parameters: Any = None) -> Iterator[Row]:
    """The rows one after another, made as they are asked for. The query is executed at the first of them.

    The result stays with the client, so that the loop over it may commit, and may use the connection for more.
    """
    with _executed(connection, sql, parameters) as cursor:
        yield from iter(cursor.fetchone, None)


def execute_query_fetchall(connection: Any, sql: str, parameters: Any = None) -> list[Row]:
    """All rows at once."""
    with _executed(connection, sql, parameters) as cursor:
        return list(cursor.fetchall())


def execute_no_results(connection: Any, sql: str, parameters: Any = None) -> None:
    """For a statement that is executed for its effect."""
    with _executed(connection, sql, parameters):
        pass


def _first_row(connection: Any, sql: str, parameters: Any) -> Row | None:
    with _executed(connection, sql, parameters) as cursor:
        # Not every stand-in for a cursor has a description.
        return cursor.fetchone() if getattr(cursor, "description", True) else None


@contextmanager
def _executed(connection: Any, sql: str, parameters: Any) -> Iterator[Any]:
    with closing(connection.cursor()) as cursor:
        # Some drivers take None for a set of parameters.
        cursor.execute(*((sql,) if parameters is None else (sql, parameters)))
        yield cursor
