"""The one place that recognises PostgreSQL's errors, and says what a person can do about them."""

import psycopg2
from psycopg2 import errorcodes

from crontabber.errors import StateDatabaseError

OLDEST_SERVER = 90500

# The connection is gone or was never there: what we were doing may be tried again on a new one.
LOST_CONNECTION = (psycopg2.OperationalError, psycopg2.InterfaceError)

_ADVICE = {
    errorcodes.INSUFFICIENT_PRIVILEGE: "grant it to the role, or use a role that has it: crontabber writes to both of"
    " its tables (SELECT, INSERT, UPDATE, DELETE) and makes them on its first start",
    errorcodes.READ_ONLY_SQL_TRANSACTION: "it is a standby or was made read-only: jobs need a server that can be"
    " written to",
    errorcodes.DISK_FULL: "free some space on the server",
    errorcodes.UNDEFINED_TABLE: "the tables were there when this run began",
    errorcodes.INVALID_SCHEMA_NAME: "no schema of search_path exists, so there is no place for crontabber's tables",
}


def is_missing_relation(error: Exception) -> bool:
    return isinstance(error, (psycopg2.errors.UndefinedTable, psycopg2.errors.UndefinedColumn))


def explained(error: psycopg2.Error) -> StateDatabaseError:
    """`error` as a sentence: what the server said, and what to do where that is known."""
    said = " ".join(str(error).split()) or type(error).__name__
    advice = _ADVICE.get(error.pgcode or "")
    if advice is None and error.pgcode is None:
        advice = "check host, port, dbname, user and password in the configuration, and that the server runs"
    return StateDatabaseError(f"state database: {said}" + (f" ({advice})" if advice else ""))
