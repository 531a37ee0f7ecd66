"""Read crontabber_log, and who holds which lock, for reports: SELECT is all they need."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from crontabber.errors import StateDatabaseError
from crontabber.store import schema, sql_log
from crontabber.store.driver_errors import is_missing_relation
from crontabber.store.heartbeat import LastTick, last_tick
from crontabber.store.state_connection import Row, StateConnection


class LoggedRun(NamedTuple):
    """A row of crontabber_log. `slot` is the date that the run was for, None if it was for no date or is not known."""

    log_time: datetime
    duration: timedelta | None
    success: datetime | None
    exc_type: str | None
    exc_value: str | None
    exc_traceback: str | None
    slot: datetime | None = None
    host: str | None = None

    @property
    def has_failed(self) -> bool:
        return self.exc_type is not None

    @property
    def is_mark(self) -> bool:
        """True if the job did not run: somebody, user@host, marked it as successful."""
        return "@" in (self.host or "")


class RecentRuns(NamedTuple):
    """The last runs of a job, oldest first: how many seconds each took, and whether it failed. `failing_since` is when
    the first of those failed that have failed since the last success among them, `newest` when the last one ended."""

    seconds: Sequence[float | None]
    failed: Sequence[bool]
    failing_since: datetime | None
    newest: datetime


class History:
    """Answers from the log. Without the table, there are no runs."""

    def __init__(self, connection: StateConnection) -> None:
        self._connection = connection

    def last_tick(self) -> LastTick | None:
        return last_tick(self._connection)

    def lacks(self) -> list[str]:
        """Return what crontabber does without because our role may not add it, and the statements that add it."""
        facts = schema.look(self._connection)
        return schema.lacks(facts) if facts.may_run else schema.unreadable(self._connection)

    def last_durations(self) -> dict[str, timedelta]:
        """Return how long the last run of each job took, as far as that is cheap to find out: with the index on
        (app_name, log_time), or while the log is small."""
        return {app_name: duration for app_name, duration in self._rows(sql_log.LAST_DURATIONS) if duration is not None}

    def runs(self, app_name: str, last: int) -> list[LoggedRun]:
        """Return the last runs of a job, newest first."""
        parameters = {"app_name": app_name, "last": last}
        try:
            return [LoggedRun(*row) for row in self._connection.fetch(sql_log.RUNS, parameters)]
        except StateDatabaseError as error:
            if not is_missing_relation(error.__cause__):
                raise
        # A table that the original made, or none.
        return [LoggedRun(*row) for row in self._rows(sql_log.RUNS_WITHOUT_SLOTS, parameters)]

    def recent(self, last: int) -> dict[str, RecentRuns]:
        """Return the last runs of each job, `last` at most, as far as that is cheap to find out."""
        parameters = {"last": last}
        rows = self._rows(sql_log.RECENT, parameters) or self._rows(sql_log.RECENT_OF_SMALL_LOG, parameters)
        return {app_name: RecentRuns(*runs) for app_name, *runs in rows}

    def latest(self, last: int, recent: Mapping[str, RecentRuns]) -> list[tuple[str, LoggedRun]]:
        """Return the last runs of all jobs, newest first, without tracebacks; `recent` has the last runs of each."""
        # None of them is of a job that ended before so many others.
        names = sorted(recent, key=lambda name: recent[name].newest)[-last:]
        parameters = {"app_names": names, "last": last}
        for more in (sql_log.SLOT_AND_HOST, ""):  # A table that the original made has neither.
            for statement in (sql_log.LATEST, sql_log.LATEST_OF_SMALL_LOG):
                if rows := self._rows(statement.format(more=more), parameters):
                    return [(app_name, LoggedRun(*run)) for app_name, *run in rows]
        return []

    def locked(self, app_names: Sequence[str]) -> set[str]:
        """Return those jobs whose lock a process holds."""
        if not app_names:
            return set()
        return {row[0] for row in self._rows(sql_log.LOCKED, {"app_names": list(app_names)})}

    def _rows(self, statement: str, parameters: Any = None) -> Iterable[Row]:
        try:
            return self._connection.fetch(statement, parameters)
        except StateDatabaseError as error:
            if not is_missing_relation(error.__cause__):
                raise
            return []


def history_of(store: Any) -> History | None:
    """Return the log of a state class that keeps one in PostgreSQL."""
    connection = getattr(store, "connection", None)
    return History(connection) if isinstance(connection, StateConnection) else None
