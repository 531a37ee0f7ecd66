"""Recognise PostgreSQL's errors, and say what a user can do about them. Only this module knows their codes."""

from typing import Any

import psycopg2
from psycopg2 import errorcodes

from crontabber.errors import StateDatabaseError
from crontabber.rules.text import one_line
from crontabber.store import sql

OLDEST_SERVER = 90500

# Why a job's own transaction may fail to write to our tables: read-only, a role with fewer rights, another search_path.
MAY_NOT_WRITE = (
    psycopg2.errors.ReadOnlySqlTransaction, psycopg2.errors.InsufficientPrivilege, psycopg2.errors.UndefinedTable,
)  # fmt: skip

_ADVICE = {
    errorcodes.INSUFFICIENT_PRIVILEGE: "grant it to the role, or use a role that has it: crontabber writes to its"
    " tables (SELECT, INSERT, UPDATE, DELETE; USAGE of the sequence crontabber_log_id_seq) and creates them at its"
    " first start",
    errorcodes.READ_ONLY_SQL_TRANSACTION: "it is a standby or set to read-only: jobs need a server that accepts writes",
    errorcodes.DISK_FULL: "free some space on the server",
    errorcodes.UNDEFINED_TABLE: "it was there when this run began; the next run creates what is missing",
    errorcodes.INVALID_SCHEMA_NAME: "crontabber's tables need a schema, and none in search_path exists: create one",
}


def is_of_the_connection(error: BaseException | None) -> bool:
    """True if the connection is lost, or its server has just become a standby: a new connection may work."""
    if isinstance(error, psycopg2.errors.ReadOnlySqlTransaction) or is_stale_plan(error):
        return True
    return isinstance(error, (psycopg2.DatabaseError, psycopg2.InterfaceError)) and not getattr(error, "pgcode", None)


def is_stale_plan(error: BaseException | None) -> bool:
    """True if a table was altered since this connection prepared the statement. PostgreSQL has no code of its own for
    it."""
    return isinstance(error, psycopg2.errors.FeatureNotSupported) and "cached plan" in str(error)


def is_cancelled(error: BaseException | None) -> bool:
    """True if the server has cancelled the statement, because it was asked to or because of statement_timeout."""
    return isinstance(error, psycopg2.errors.QueryCanceled)


def may_work_later(error: BaseException | None) -> bool:
    """True if a retry may help: on a new connection, or on this one once a lock is free or the server has room."""
    return is_of_the_connection(error) or isinstance(error, psycopg2.OperationalError)


def is_lost_race(error: BaseException | None) -> bool:
    """True if another session has just written the row: under REPEATABLE READ that is an error."""
    return isinstance(error, psycopg2.errors.SerializationFailure)


def is_missing_relation(error: BaseException | None) -> bool:
    """True if a table or a column does not exist."""
    return isinstance(error, (psycopg2.errors.UndefinedTable, psycopg2.errors.UndefinedColumn))


def is_denied(error: BaseException | None) -> bool:
    return isinstance(error, psycopg2.errors.InsufficientPrivilege)


def may_lack_notes(error: BaseException | None) -> bool:
    """True if a statement may have failed because there is no table crontabber_job, or our role may not read it."""
    return is_missing_relation(error) or is_denied(error)


def explained(error: psycopg2.Error) -> StateDatabaseError:
    """Return `error` as a sentence: what the server said and, if we know, what to do about it."""
    said = one_line(str(error)) or type(error).__name__
    advice = _ADVICE.get(error.pgcode or "")
    if advice is None and error.pgcode is None:
        advice = "check host, port, dbname, user and password in the configuration, and whether the server is running"
    return StateDatabaseError(f"state database: {said}" + (f" ({advice})" if advice else ""))


def has_written(cursor: Any) -> bool:
    """True if the open transaction has written anything. Servers before version 10 cannot tell: True."""
    if cursor.connection.server_version < 100000:
        return True
    cursor.execute(sql.HAS_WRITTEN)
    return bool(cursor.fetchone()[0])
