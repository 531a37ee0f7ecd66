"""Find out what our tables lack, and add it."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

import psycopg2

from crontabber.errors import StateDatabaseError
from crontabber.rules.text import one_line
from crontabber.store import schema_sql, sql
from crontabber.store.driver_errors import OLDEST_SERVER, explained, is_missing_relation
from crontabber.store.state_connection import StateConnection

OWNER_COLUMN = ("crontabber column: owner", schema_sql.ADD_OWNER)
SLOT_COLUMN = ("crontabber_log column: slot", schema_sql.ADD_SLOT)
HOST_COLUMN = ("crontabber_log column: host", schema_sql.ADD_HOST)
NOTE_COLUMNS = frozenset(schema_sql.NOTE_COLUMNS)
LOG_COLUMNS = frozenset(("slot", "host"))
# Jobs can do without these, and without the tables of our own.
OPTIONAL = (schema_sql.ADD_OWNER, schema_sql.ADD_SLOT, schema_sql.ADD_HOST)
_OUR_OWN = ("crontabber_job", "crontabber_host")
# What is lost without them.
_OWNER = "the job of a process that died is run again only after max_ongoing_age_hours"
_SLOTS = "--history lacks the dates and the hosts of runs"
_NOTES = (
    "jobs cannot be paused, a job whose first run is due shortly before midnight may never start, and a change of a"
    " time of day or of the time zone may double or skip dates"
)
_HOSTS = "nothing tells whether cron still starts crontabber"
_UNREAD = {"crontabber_job": "pauses and noted first runs are not known here", "crontabber_host": _HOSTS}
OWNER_CAN = ". The owner of the tables can change that: "


def _advice(what: str, so: str, statements: Iterable[str]) -> str:
    return f"{what}: {so}{OWNER_CAN}{_in_one_line(statements)}"


def _in_one_line(statements: Iterable[str]) -> str:
    return " ".join(f"{' '.join(statement.split())};" for statement in statements)


class ServerFacts(NamedTuple):
    """What one statement tells us about the server; `columns` and `schema` (quoted) belong to the table crontabber,
    `note_columns` to crontabber_job, `log_columns` to crontabber_log."""

    now: datetime
    has_table: bool
    has_log: bool
    columns: frozenset[str]
    note_columns: frozenset[str]
    log_columns: frozenset[str]
    has_index: bool
    read_only: bool
    version: int
    schema: str | None
    may_alter: bool = True
    may_note: bool = True
    may_create: bool = True
    may_alter_log: bool = True
    has_hosts: bool = True
    may_beat: bool = True
    may_run: bool = True
    role: str = ""

    @property
    def has_owner(self) -> bool:
        return "owner" in self.columns

    @property
    def has_slots(self) -> bool:
        return self.log_columns >= LOG_COLUMNS

    @property
    def has_notes(self) -> bool:
        return self.may_note and self.note_columns >= NOTE_COLUMNS

    def missing(self) -> list[tuple[str, str]]:
        """Return what has to be added, in order: its name and the statement."""
        steps = [
            (self.has_table, "crontabber table: crontabber", schema_sql.CREATE_TABLE),
            (not self.has_table or "ongoing" in self.columns, "crontabber column: ongoing", schema_sql.ADD_ONGOING),
            (not self.has_table or self.has_owner or not self.may_alter, *OWNER_COLUMN),
            (self.has_index, "crontabber index: crontabber_unique_app_name_idx", schema_sql.CREATE_INDEX),
            (self.has_log, "crontabber table: crontabber_log", schema_sql.CREATE_LOG),
            (self._needs_no("slot"), *SLOT_COLUMN),
            (self._needs_no("host"), *HOST_COLUMN),
            (bool(self.note_columns) or not self.may_create, "crontabber table: crontabber_job", self._create_notes()),
            (self.has_hosts or not self.may_create, "crontabber table: crontabber_host", self._create_hosts()),
        ]
        return [(name, statement) for present, name, statement in steps if not present]

    def lacks_of_notes(self) -> tuple[str, list[str]]:
        """Return what is in the way of using crontabber_job, and the statements that change it."""
        if lacking := [name for name in schema_sql.NOTE_COLUMNS if name not in self.note_columns]:
            if self.note_columns:
                columns = ", ".join(f"ADD COLUMN {name} {schema_sql.NOTE_COLUMNS[name]}" for name in lacking)
                what = f"The table crontabber_job has no column {', '.join(lacking)}"
                return what, [f"ALTER TABLE crontabber_job {columns}"]
            return "There is no table crontabber_job", [self._create_notes(), self._grant("crontabber_job")]
        return "This role may not use the table crontabber_job", [self._grant("crontabber_job")]

    def lacks_of_hosts(self) -> tuple[str, list[str]]:
        """Return the same about crontabber_host."""
        if self.has_hosts:
            return "This role may not use the table crontabber_host", [self._grant("crontabber_host")]
        return "There is no table crontabber_host", [self._create_hosts(), self._grant("crontabber_host")]

    def _grant(self, table: str) -> str:
        return schema_sql.GRANT.format(table=f"{self._prefix()}{table}", role=self.role)

    def _needs_no(self, column: str) -> bool:
        """True if the log has the column, or we cannot add it."""
        return not self.has_log or column in self.log_columns or not self.may_alter_log

    def _create_notes(self) -> str:
        return schema_sql.CREATE_NOTES.format(schema=self._prefix())

    def _create_hosts(self) -> str:
        return schema_sql.CREATE_HOSTS.format(schema=self._prefix())

    def _prefix(self) -> str:
        return f"{self.schema}." if self.schema else ""


def prepare(connection: StateConnection, logger: Any) -> ServerFacts:
    """Add what is missing, and tell `connection` what it has to do without. Return the facts after that.
    StateDatabaseError if the server accepts no writes, or is too old."""
    facts = look(connection)
    if facts.read_only:
        raise StateDatabaseError(
            "state database: the server is a standby or set to read-only: jobs need one that accepts writes"
        )
    if facts.missing():
        facts = complete(connection, logger)
    connection.has_owner, connection.has_notes, connection.has_slots = facts.has_owner, facts.has_notes, facts.has_slots
    for text in lacks(facts):
        logger.debug(text)
    if facts.may_run and facts.note_columns and not facts.may_note:
        logger.warning("Pauses do not hold for this role: %s", why_without_notes(facts))
    return facts


def lacks(facts: ServerFacts) -> list[str]:
    """Return what crontabber has to do without because this role may not add it, each with the statements for the owner
    of the tables; nothing for a role that cannot run jobs."""
    if not (facts.has_table and facts.may_run):
        return []
    found = []
    if not (facts.has_owner or facts.may_alter):
        found.append(_advice("The table crontabber has no column owner", _OWNER, [schema_sql.ADD_OWNER]))
    if facts.has_log and not (facts.has_slots or facts.may_alter_log):
        adding = {"slot": schema_sql.ADD_SLOT, "host": schema_sql.ADD_HOST}
        lacking = [name for name in adding if name not in facts.log_columns]
        what = f"The table crontabber_log has no column {', '.join(lacking)}"
        found.append(_advice(what, _SLOTS, [adding[name] for name in lacking]))
    if not facts.has_notes and (facts.note_columns or not facts.may_create):
        what, statements = facts.lacks_of_notes()
        found.append(_advice(what, _NOTES, statements))
    if not facts.may_beat and (facts.has_hosts or not facts.may_create):
        what, statements = facts.lacks_of_hosts()
        found.append(_advice(what, _HOSTS, statements))
    return found


def unreadable(connection: StateConnection) -> list[str]:
    """Return what a role that only reads does not see, each with the statement for the owner of the tables."""
    return [
        _advice(f"This role may not read the table {table}", _UNREAD[table], [f"GRANT SELECT ON {table} TO {role}"])
        for table, role in connection.fetch(schema_sql.UNREADABLE)
    ]


def why_without_notes(facts: ServerFacts) -> str:
    """Return what is in the way of using crontabber_job, and the statements for the owner of the tables."""
    what, statements = facts.lacks_of_notes()
    return f"{what}{OWNER_CAN}{_in_one_line(statements)}"


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
    """Execute one of the statements. If one that jobs can do without has to wait or is refused, leave it to the next
    tick."""
    cursor.execute(sql.SAVEPOINT)
    try:
        cursor.execute(statement)
    except (psycopg2.errors.LockNotAvailable, psycopg2.errors.InsufficientPrivilege):
        if statement not in OPTIONAL and not any(table in statement for table in _OUR_OWN):
            raise
        cursor.execute(sql.BACK_TO_SAVEPOINT)


def _glance(connection: StateConnection) -> ServerFacts | None:
    """Return the facts if the tables are complete, None if something may be missing."""
    try:
        now, complete, read_only, version, schema = connection.fetch(schema_sql.GLANCE)[0][:5]
    except StateDatabaseError as error:
        if not is_missing_relation(error.__cause__):
            raise
        return None
    if not complete:
        return None
    columns = frozenset(("ongoing", "owner"))
    return ServerFacts(now, True, True, columns, NOTE_COLUMNS, LOG_COLUMNS, True, read_only, version, schema)


def _facts(row: Any) -> ServerFacts:
    now, has_table, has_log, columns, note_columns, log_columns, *others = row[:18]
    columns_of = map(frozenset, (columns, note_columns, log_columns))
    return ServerFacts(now, has_table, has_log, *columns_of, *others)  # type: ignore[arg-type]
