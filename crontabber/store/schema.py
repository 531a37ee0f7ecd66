"""Find out what the two tables lack, and add it."""

from datetime import datetime
from typing import Any, NamedTuple

import psycopg2

from crontabber.errors import StateDatabaseError
from crontabber.rules.text import one_line
from crontabber.store import schema_sql, sql
from crontabber.store.driver_errors import OLDEST_SERVER, explained, is_missing_relation
from crontabber.store.state_connection import StateConnection

OWNER_COLUMN = ("crontabber column: owner", schema_sql.ADD_OWNER)
WITHOUT_OWNER = (
    "The table crontabber has no column `owner`: the job of a process that died is run again only after"
    f" max_ongoing_age_hours. The owner of the table can add it: {schema_sql.ADD_OWNER}"
)


class ServerFacts(NamedTuple):
    """What one statement tells us about the server; `columns` and `schema` (quoted) belong to the table crontabber."""

    now: datetime
    has_table: bool
    has_log: bool
    columns: frozenset[str]
    has_index: bool
    read_only: bool
    version: int
    schema: str | None
    may_alter: bool = True

    @property
    def has_owner(self) -> bool:
        return "owner" in self.columns

    def missing(self) -> list[tuple[str, str]]:
        """Return what has to be added, in order: its name and the statement."""
        steps = [
            (self.has_table, "crontabber table: crontabber", schema_sql.CREATE_TABLE),
            (not self.has_table or "ongoing" in self.columns, "crontabber column: ongoing", schema_sql.ADD_ONGOING),
            (not self.has_table or self.has_owner or not self.may_alter, *OWNER_COLUMN),
            (self.has_index, "crontabber index: crontabber_unique_app_name_idx", schema_sql.CREATE_INDEX),
            (self.has_log, "crontabber table: crontabber_log", schema_sql.CREATE_LOG),
        ]
        return [(name, statement) for present, name, statement in steps if not present]


def look(connection: StateConnection) -> ServerFacts:
    """Return the facts, with one statement if nothing is missing. StateDatabaseError if the server is too old."""
    facts = _glance(connection) or _facts(connection.fetch(schema_sql.CHECK_SCHEMA)[0])
    if facts.version < OLDEST_SERVER:
        version = f"{facts.version // 10000}.{facts.version // 100 % 100}"
        raise StateDatabaseError(f"state database: PostgreSQL {version} is too old: crontabber needs 9.5 or later")
    return facts


def complete(connection: StateConnection, logger: Any) -> ServerFacts:
    """Add what is missing. Several processes may do so at once: they take turns, and the later ones find it done."""
    raw = connection.raw
    try:
        raw.autocommit = False
        with raw, raw.cursor() as cursor:
            cursor.execute(schema_sql.LOCK_SCHEMA)
            cursor.execute(schema_sql.LOCK_TIMEOUT)
            cursor.execute(schema_sql.CHECK_SCHEMA)
            for name, statement in _facts(cursor.fetchone()).missing():
                logger.info("Creating %s", name)
                _add(cursor, statement)
            cursor.execute(schema_sql.CHECK_SCHEMA)
            return _facts(cursor.fetchone())
    except psycopg2.errors.UniqueViolation as error:
        raise StateDatabaseError(
            "state database: several rows of the table crontabber have the same app_name, so its unique index cannot be"
            f" created: keep one of them ({one_line(str(error))})"
        ) from error
    except psycopg2.Error as error:
        raise explained(error) from error
    finally:
        if not raw.closed:
            raw.autocommit = True


def _add(cursor: Any, statement: str) -> None:
    """Execute one of the statements. If a lock is in the way of one that can wait, leave it to the next tick."""
    cursor.execute(sql.SAVEPOINT)
    try:
        cursor.execute(statement)
    except psycopg2.errors.LockNotAvailable:
        if statement != schema_sql.ADD_OWNER:
            raise
        cursor.execute(sql.BACK_TO_SAVEPOINT)


def _glance(connection: StateConnection) -> ServerFacts | None:
    """Return the facts if the tables are complete, None if something may be missing."""
    try:
        now, complete, read_only, version, schema = connection.fetch(schema_sql.GLANCE)[0][:5]
    except StateDatabaseError as error:
        if not is_missing_relation(error.__cause__):  # type: ignore[arg-type]
            raise
        return None
    if not complete:
        return None
    return ServerFacts(now, True, True, frozenset(("ongoing", "owner")), True, read_only, version, schema)


def _facts(row: Any) -> ServerFacts:
    now, has_table, has_log, columns, has_index, read_only, version, schema, may_alter = row[:9]
    return ServerFacts(now, has_table, has_log, frozenset(columns), has_index, read_only, version, schema, may_alter)
