"""The state's own connection: one a process, autocommit, so that no transaction of ours is open while a job runs."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import psycopg2
import psycopg2.extensions

from crontabber.store.driver_errors import explained
from crontabber.store.prepared import PreparedStatements

Row = Sequence[Any]
Parameters = Mapping[str, Any] | Sequence[Any] | None


class StateConnection:
    """Opens itself at the first statement, and again after it was lost. Every error of the driver's comes out
    explained, with the driver's own as its `__cause__`."""

    def __init__(self, factory: Any) -> None:
        self._factory = factory
        self._connection: Any = None
        self._prepared = PreparedStatements()
        self._destination: tuple[Any, ...] = ()
        self._codec = "utf-8"

    @property
    def raw(self) -> Any:
        """The psycopg2 connection. StateDatabaseError if there is none to be had."""
        if self._connection is None:
            try:
                connection = self._factory.connection()
                connection.autocommit = True
                if connection.encoding != "UTF8":
                    connection.set_client_encoding("UTF8")
            except psycopg2.Error as error:
                raise explained(error) from error
            self._connection = connection
            self._prepared = PreparedStatements()
            self._destination = _destination(connection)
            self._codec = psycopg2.extensions.encodings.get(connection.get_parameter_status("server_encoding"), "utf-8")
        return self._connection

    @property
    def is_open(self) -> bool:
        """As far as is known: a connection is found to be lost when it is used."""
        return self._connection is not None

    def fetch(self, statement: str, parameters: Parameters = None) -> list[Row]:
        """The rows of one statement, which is a transaction of its own."""
        return self._execute(statement, parameters)[1]

    def fetch_often(self, statement: str, parameters: Mapping[str, Any]) -> list[Row]:
        """The same for a statement that comes again and again. Not through a proxy that pools transactions."""
        _ = self.raw  # What has been prepared was so on this connection.
        return self.fetch(self._prepared.to_send(statement, self.fetch), parameters)

    def fetch_dicts(self, statement: str, parameters: Parameters = None) -> list[dict[str, Any]]:
        """The rows by the names of their columns."""
        names, rows = self._execute(statement, parameters)
        return [dict(zip(names, row, strict=True)) for row in rows]

    def _execute(self, statement: str, parameters: Parameters) -> tuple[list[str], list[Row]]:
        connection = self.raw
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement, parameters)
                if cursor.description is None:
                    return [], []
                return [column.name for column in cursor.description], cursor.fetchall()
        except psycopg2.Error as error:
            if connection.closed:
                self._connection = None
            raise explained(error) from error

    def parameter(self, name: str) -> str | None:
        """A parameter that the server reports by itself, such as TimeZone; no query."""
        return self.raw.get_parameter_status(name)

    def sendable(self, text: str) -> str:
        """`text` with what the encoding of the database lacks escaped: not every one is UTF-8."""
        return text.encode(self._codec, "backslashreplace").decode(self._codec)

    def leads_where(self, other: Any) -> bool:
        """Is `other` a psycopg2 connection to the same database as the same role?"""
        return isinstance(other, psycopg2.extensions.connection) and _destination(other) == self._destination

    def drop(self) -> None:
        """Forget the connection, dead or alive; the next statement opens a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            # It may be broken already.
            with suppress(psycopg2.Error):
                self._factory.close_connection(connection, force=True)


def _destination(connection: Any) -> tuple[Any, ...]:
    info = connection.info
    return info.host, info.port, info.dbname, info.user
