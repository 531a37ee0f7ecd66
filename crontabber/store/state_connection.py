"""The state's own connection: one per process, in autocommit, so that no transaction is open while a job runs."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psycopg2
import psycopg2.extensions

from crontabber.process.lookout import ON_DUTY
from crontabber.store import connections
from crontabber.store.driver_errors import explained
from crontabber.store.prepared import PreparedStatements
from crontabber.store.sessions import has_hung_up

Row = Sequence[Any]
Parameters = Mapping[str, Any] | Sequence[Any] | None

NAME = "the state of crontabber"
# How long a statement may take; the next round of the patrol cancels it.
PATIENCE_SECONDS = 60.0


class StateConnection:
    """A connection that opens at the first statement, and again after a loss. Its methods raise StateDatabaseError with
    the driver's error as `__cause__`."""

    def __init__(self, factory: Any) -> None:
        self._factory = factory
        self._patience = PATIENCE_SECONDS
        self._waiting_since = 0.0
        # The start of the statement that has been cancelled last.
        self._cancelled: float | None = None
        # False for a table that the original created and that our role may not alter.
        self.has_owner = True
        # False where our role may not use the table crontabber_job.
        self.has_notes = True
        # False for a log that the original created and that our role may not alter.
        self.has_slots = True
        self._connection: Any = None
        self._prepared = PreparedStatements()
        self._target: tuple[Any, ...] = ()
        self._codec = "utf-8"

    @property
    def raw(self) -> Any:
        """The psycopg2 connection, opened if need be."""
        if self._connection is None:
            try:
                connection = self._connect()
                connection.autocommit = True
                if connection.encoding != "UTF8":
                    connection.set_client_encoding("UTF8")
            except psycopg2.Error as error:
                raise explained(error) from error
            self._connection = connection
            self._prepared = PreparedStatements()
            self._target = _target(connection)
            self._codec = psycopg2.extensions.encodings.get(connection.get_parameter_status("server_encoding"), "utf-8")
        return self._connection

    @property
    def is_open(self) -> bool:
        """False before the first statement, and after one has found the connection lost."""
        return self._connection is not None

    @property
    def has_hung_up(self) -> bool:
        """True if there is no connection, or its server is gone. Other threads may ask."""
        connection = self._connection
        return connection is None or has_hung_up(connection)

    @property
    def dsn(self) -> str | None:
        """How another connection to the same database is made; None if only the user's own class knows."""
        return getattr(self._factory, "dsn", None)

    @contextmanager
    def deadline(self, seconds: float) -> Iterator[None]:
        """Let each statement within the block take only so long."""
        before, self._patience = self._patience, seconds
        try:
            yield
        finally:
            self._patience = before

    def look(self) -> None:
        """End a statement that takes too long: with a cancel, or if nothing answers that, with the connection.

        Called by the patrol, in its own thread.
        """
        connection, since = self._connection, self._waiting_since
        waited = time.monotonic() - since
        if connection is None or waited < self._patience:
            return
        # The patrol may come so late that it is time for both.
        is_cancelled, self._cancelled = self._cancelled == since, since
        with suppress(psycopg2.Error):  # It may have been closed just now.
            if is_cancelled and waited >= self._patience + connections.CANCEL_SECONDS:
                connections.shut_down(connection)
            else:
                connections.cancel(connection)

    def fetch(self, statement: str, parameters: Parameters = None) -> list[Row]:
        """Return the rows of one statement, which is a transaction of its own."""
        return self._execute(statement, parameters)[1]

    def fetch_often(self, statement: str, parameters: Mapping[str, Any]) -> list[Row]:
        """Do the same for a statement that is sent again and again; not behind a proxy that pools transactions."""
        _ = self.raw  # Reconnect first: a new connection has no prepared statements.
        return self.fetch(self._prepared.to_send(self.adapted(statement), self.fetch), parameters)

    def fetch_dicts(self, statement: str, parameters: Parameters = None) -> list[dict[str, Any]]:
        """Return each row as a dict of its columns."""
        names, rows = self._execute(statement, parameters)
        return [dict(zip(names, row, strict=True)) for row in rows]

    def adapted(self, statement: str) -> str:
        """Return the statement in the form that fits the table."""
        if self.has_owner and self.has_notes and self.has_slots:
            return statement
        from crontabber.store.older_tables import without_notes, without_owner, without_slots

        if not self.has_notes:
            statement = without_notes(statement)
        if not self.has_slots:
            statement = without_slots(statement)
        return statement if self.has_owner else without_owner(statement)

    def _connect(self) -> Any:
        """Ask by a name: a user's class may share a connection between all that ask for the thread's, jobs included."""
        try:
            return self._factory.connection(name=NAME)
        except TypeError:
            return self._factory.connection()

    def _execute(self, statement: str, parameters: Parameters) -> tuple[list[str], list[Row]]:
        connection = self.raw
        self._waiting_since = time.monotonic()
        ON_DUTY.add(self)
        try:
            with connection.cursor() as cursor:
                cursor.execute(self.adapted(statement), parameters)
                if cursor.description is None:
                    return [], []
                return [column.name for column in cursor.description], cursor.fetchall()
        except psycopg2.Error as error:
            if connection.closed:
                self._connection = None
            raise explained(error) from error
        finally:
            ON_DUTY.discard(self)

    def parameter(self, name: str) -> str | None:
        """Return a parameter that the server reports unasked, such as TimeZone; without a query."""
        return self.raw.get_parameter_status(name)

    def sendable(self, text: str) -> str:
        """Return `text` with the characters escaped that the encoding of the database lacks."""
        return text.encode(self._codec, "backslashreplace").decode(self._codec)

    def has_same_target(self, other: Any) -> bool:
        """True if `other` is a psycopg2 connection to the same database as the same role."""
        return isinstance(other, psycopg2.extensions.connection) and _target(other) == self._target

    def drop(self) -> None:
        """Close the connection, alive or not; the next statement opens a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            # It may be broken already.
            with suppress(psycopg2.Error):
                self._factory.close_connection(connection, force=True)


def _target(connection: Any) -> tuple[Any, ...]:
    info = connection.info
    return info.host, info.port, info.dbname, info.user
