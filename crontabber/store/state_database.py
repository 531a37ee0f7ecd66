"""JobStateDatabase: the state of every job, as a mapping for users' code, as states and claims for the engine."""

from collections.abc import Iterator, Mapping, MutableMapping
from datetime import datetime, timedelta, tzinfo
from functools import cached_property
from typing import Any

import psycopg2
from configman import Namespace, RequiredConfig
from configman.converters import class_converter

from crontabber.errors import StateDatabaseError
from crontabber.rules.job_state import JobState
from crontabber.store import schema, sql
from crontabber.store.claims import Claims
from crontabber.store.driver_errors import explained, is_lost_race, is_missing_relation, may_lack_notes
from crontabber.store.heartbeat import Heartbeat
from crontabber.store.plans import Plans
from crontabber.store.rows import as_json, as_mapping, log_parameters, state_from_mapping, state_from_row
from crontabber.store.state_connection import StateConnection

READ_ATTEMPTS = 5
UPSERT_STATE = """
INSERT INTO crontabber (app_name, next_run, first_run, last_run, last_success, error_count, depends_on, last_error,
                        ongoing)
VALUES (%(app_name)s, %(next_run)s, %(first_run)s, %(last_run)s, %(last_success)s, %(error_count)s, %(depends_on)s,
        %(last_error)s, %(ongoing)s)
ON CONFLICT (app_name) DO UPDATE SET
    next_run = EXCLUDED.next_run, first_run = EXCLUDED.first_run, last_run = EXCLUDED.last_run,
    last_success = EXCLUDED.last_success, error_count = EXCLUDED.error_count, depends_on = EXCLUDED.depends_on,
    last_error = EXCLUDED.last_error, ongoing = EXCLUDED.ongoing, owner = NULL
"""


class JobStateDatabase(RequiredConfig, MutableMapping):  # type: ignore[type-arg, misc]
    """A mapping app_name -> dict of next_run, first_run, last_run, last_success, depends_on, error_count, last_error,
    ongoing. Creating one adds what the tables lack.
    """

    # Its original module, under which ini files, --help and users' code name it.
    __module__ = "crontabber.app"

    required_config = Namespace()
    required_config.add_option(
        "database_class",
        default="crontabber.connection_factory.ConnectionFactory",
        from_string_converter=class_converter,
        doc="the class that connects to the database",
        reference_value_from="resource.postgresql",
    )
    required_config.add_option(
        "transaction_executor_class",
        default="crontabber.transaction_executor.TransactionExecutor",
        from_string_converter=class_converter,
        doc="the class that runs transactions for code that uses the state database as a mapping",
        reference_value_from="resource.postgresql",
    )
    required_config.add_option(
        "session_locks",
        default=True,
        doc="hold an advisory lock while a job runs, so that the next tick notices if its process died; set this to"
        " False behind a proxy that pools transactions: then only max_ongoing_age_hours tells",
    )

    def __init__(self, config: Any) -> None:
        """`config` is the namespace `crontabber`. StateDatabaseError if the server cannot be reached or refuses."""
        self.config = config
        self.connection = StateConnection(config.database_class(config))
        # What is noted about jobs that have not run yet, as states() has found it.
        self.unseen: dict[str, JobState] = {}
        self._prepare()

    @classmethod
    def for_reading(cls, config: Any) -> Any:
        """Return one that neither checks nor adds tables, so that a role that may only SELECT is enough."""
        return type(cls.__name__, (cls,), {"_prepare": lambda self: None})(config)

    # -- for the engine

    def states(self) -> dict[str, JobState]:
        """Return every row, with one statement. The original's tables are read as they are; no table, no states."""
        try:
            rows = self._read(sql.SELECT_STATES_AND_SLOTS)
        except StateDatabaseError as error:
            if self.connection.has_notes and may_lack_notes(error.__cause__):
                self.connection.has_notes = False
                return self.states()
            if not is_missing_relation(error.__cause__):
                raise
            return self._states_of_an_older_table()
        states = {row[0]: state_from_row(row[:-1]) for row in rows}
        self.unseen = {row[0]: states.pop(row[0]) for row in rows if row[-1]}
        return states

    def state(self, app_name: str) -> JobState | None:
        """Return the row of one job as it is now, None if there is none."""
        rows = self._read(sql.SELECT_STATE, (app_name,))
        return state_from_row(rows[0]) if rows else None

    def unsettled(self, now: datetime) -> dict[str, JobState]:
        """Return the rows of jobs that are due or ongoing."""
        return {row[0]: state_from_row(row) for row in self._read(sql.SELECT_UNSETTLED, (now,))}

    @cached_property
    def claims(self) -> Claims:
        return Claims(
            self.connection,
            self.config.logger,
            schema=self._schema,
            session_locks=self.config.get("session_locks", True),
            max_ongoing_age=timedelta(hours=self.config.max_ongoing_age_hours),
        )

    @cached_property
    def plans(self) -> Plans:
        return Plans(self.connection)

    @cached_property
    def zone(self) -> tzinfo:
        """The time zone of the session. It needs no query, but an import of 2 ms."""
        from crontabber.rules.time_zone import zone_named

        return zone_named(self.connection.parameter("TimeZone") or "UTC")

    def store(self, state: JobState) -> None:
        """Write a row as given, without a claim."""
        self[state.app_name] = as_mapping(state)

    def log_run(self, app_name: str, duration: timedelta, success: datetime | None, failure: Any = None) -> None:
        """Add a row to crontabber_log without a claim, for applications that mark jobs by hand."""
        self.connection.fetch(sql.LOG_RUN, log_parameters(app_name, duration, success, failure))

    def close(self) -> None:
        self.connection.drop()

    # -- the mapping

    def has_data(self) -> bool:
        return bool(self._query(sql.HAS_DATA)[0][0])

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())

    def __contains__(self, app_name: object) -> bool:
        return app_name in self.keys()

    def __getitem__(self, app_name: str) -> dict[str, Any]:
        rows = self._query(sql.SELECT_STATE, (app_name,))
        if not rows:
            raise KeyError(app_name)
        return as_mapping(state_from_row(rows[0]))

    def __setitem__(self, app_name: str, value: Mapping[str, Any]) -> None:
        state = state_from_mapping(app_name, value)
        parameters = as_mapping(state) | {"app_name": app_name, "last_error": as_json(state.last_error)}
        self._query(UPSERT_STATE, parameters)

    def __delitem__(self, app_name: str) -> None:
        if not self._query(sql.DELETE_STATE, {"app_name": app_name}):
            raise KeyError(app_name)

    def keys(self) -> list[str]:  # type: ignore[override]
        return [row[0] for row in self._query(sql.SELECT_NAMES)]

    def items(self) -> list[tuple[str, dict[str, Any]]]:  # type: ignore[override]
        """Return all pairs, without `ongoing`, as users of the original know them."""
        copy = self.copy()
        for info in copy.values():
            del info["ongoing"]
        return list(copy.items())

    def values(self) -> list[dict[str, Any]]:  # type: ignore[override]
        return [info for _, info in self.items()]

    def copy(self) -> dict[str, dict[str, Any]]:
        return {row[0]: as_mapping(state_from_row(row)) for row in self._query(sql.SELECT_STATES)}

    # -- private

    @cached_property
    def database_connection_factory(self) -> Any:
        """That of the executor, which must never get the state's own connection."""
        return self.config.database_class(self.config)

    @cached_property
    def transaction_executor(self) -> Any:
        return self.config.transaction_executor_class(self.config, self.database_connection_factory)

    def _read(self, statement: str, parameters: Any = None) -> list[Any]:
        """Return the rows. Where transactions are serializable, reading can fail, too: try again."""
        for _ in range(READ_ATTEMPTS - 1):
            try:
                return self.connection.fetch(statement, parameters)
            except StateDatabaseError as error:
                if not is_lost_race(error.__cause__):
                    raise
        return self.connection.fetch(statement, parameters)

    def _query(self, statement: str, parameters: Any = None) -> list[Any]:
        try:
            return list(self.transaction_executor(_fetch, self.connection.adapted(statement), parameters))
        except psycopg2.Error as error:
            raise explained(error) from error
        finally:
            # Seldom needed: it is not worth a session that may be lost meanwhile.
            end_sessions = getattr(self.database_connection_factory, "end_sessions", None)
            if end_sessions is not None:
                end_sessions()

    def _prepare(self) -> None:
        facts = schema.prepare(self.connection, self.config.logger)
        self.server_now = facts.now
        self._schema = facts.schema or ""
        self.heartbeat = Heartbeat(self.connection) if facts.may_beat else None

    def _states_of_an_older_table(self) -> dict[str, JobState]:
        try:
            rows = self.connection.fetch_dicts(sql.SELECT_WHATEVER)
        except StateDatabaseError as error:
            if not is_missing_relation(error.__cause__):
                raise
            return {}
        self.connection.has_owner = False
        return {row["app_name"]: state_from_mapping(row["app_name"], row) for row in rows}


def state_reader(options: Any, database: Any = None) -> Any:
    """Return what reads the state without creating or changing anything: `database` if it is already open; `options`
    is the namespace `crontabber`."""
    if database is None:
        database = getattr(options.job_state_db_class, "for_reading", options.job_state_db_class)(options)
    return engine_state(database, options)


def engine_state(database: Any, options: Any) -> Any:
    """Return `database`, or an adapter that offers the engine what it needs if the state class is only a mapping."""
    if hasattr(type(database), "claims") or "claims" in vars(database):
        return database
    from crontabber.store.mapping_state import MappingState

    return MappingState(database, timedelta(hours=options.max_ongoing_age_hours))


def _fetch(connection: Any, statement: str, parameters: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []
