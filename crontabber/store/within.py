"""Write to our tables inside the open transaction of a job, whose role or search_path may not allow it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from psycopg2.extensions import TRANSACTION_STATUS_INTRANS

from crontabber.rules.text import one_line
from crontabber.store import sql
from crontabber.store.driver_errors import MAY_NOT_WRITE, has_written


class Refusal(NamedTuple):
    """What the server said, and whether the transaction has written anything."""

    reason: str
    has_written: bool


def execute_within(connection: Any, statements: Sequence[str], parameters: Any) -> list[Any] | Refusal:
    """Return the rows of the first statement that the transaction may execute. It can go on even if there is none."""
    in_transaction = not connection.autocommit or connection.get_transaction_status() == TRANSACTION_STATUS_INTRANS
    reason = ""
    with connection.cursor() as cursor:
        if in_transaction:
            cursor.execute(sql.SAVEPOINT)
        for statement in statements:
            try:
                cursor.execute(statement, parameters)
                return list(cursor.fetchall())
            except MAY_NOT_WRITE as error:
                if in_transaction:
                    cursor.execute(sql.BACK_TO_SAVEPOINT)
                reason = one_line(str(error))
        return Refusal(reason, has_written(cursor))
