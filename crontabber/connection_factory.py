"""Connect to PostgreSQL with psycopg2. Options that are empty are left to libpq."""

import os
import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, ClassVar

import psycopg2
from configman import Namespace, RequiredConfig
from psycopg2.extensions import TRANSACTION_STATUS_IDLE, QueryCanceledError, make_dsn, parse_dsn

OPTIONS = ("host", "port", "dbname", "user", "password")

CONNECT_TIMEOUT_SECONDS = 10
# Notice within two minutes that the other end has vanished; most systems take two hours.
KEEPALIVES = {"keepalives_idle": 60, "keepalives_interval": 10, "keepalives_count": 6}

# How libpq reports a broken connection when psycopg2 raises a plain DatabaseError; errors of a server have a code.
LOST_CONNECTION_TEXTS = (
    "SSL SYSCALL error",
    "SSL connection has been closed",
    "server closed the connection",
    "could not receive data from server",
    "could not send data to server",
    "lost synchronization with server",
    "terminating connection",
)


class Dsn(str):
    """A connection string for libpq that hides its password in logs, messages and tracebacks."""

    def __repr__(self) -> str:
        shown: dict[str, Any] = parse_dsn(self)
        if "password" in shown:
            shown["password"] = "xxx"
        return make_dsn(None, **shown)

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)


class ConnectionFactory(RequiredConfig):
    """Creates connections; `with factory() as connection:` closes one at the end of the block.

    An empty option is left out, so that libpq's defaults apply: PGHOST and the like, ~/.pgpass, a service file.
    """

    required_config = Namespace()
    required_config.add_option(
        "host",
        default="",
        doc="host name of the PostgreSQL server, or the folder of its socket; empty: PGHOST, else this machine",
        reference_value_from="resource.postgresql",
    )
    required_config.add_option(
        "port",
        default="",
        doc="port of the PostgreSQL server; empty: PGPORT, else 5432",
        reference_value_from="resource.postgresql",
    )
    required_config.add_option(
        "dbname",
        default="",
        doc="name of the database; empty: PGDATABASE, else the name of the user",
        reference_value_from="resource.postgresql",
    )
    required_config.add_option(
        "user",
        default="",
        doc="name of the database user; empty: PGUSER, else the user of the operating system",
        reference_value_from="resource.postgresql",
    )
    required_config.add_option(
        "password",
        default="",
        doc="password of the database user; empty: PGPASSWORD, else the one in ~/.pgpass",
        secret=True,
        reference_value_from="resource.postgresql",
    )

    IntegrityError: ClassVar[type[Exception]] = psycopg2.IntegrityError
    # The connection or the server is at fault: the same call may succeed on a new connection, or later.
    operational_exceptions: ClassVar[tuple[type[Exception], ...]] = (
        psycopg2.OperationalError,
        psycopg2.InterfaceError,
        psycopg2.errors.IdleInTransactionSessionTimeout,
        TimeoutError,
    )
    # Operational only if they report a lost connection.
    conditional_exceptions: ClassVar[tuple[type[Exception], ...]] = (psycopg2.DatabaseError,)

    def __init__(self, config: Any, local_config: Any = None) -> None:
        """`local_config`, a mapping, replaces `config` as the source of the options: for subclasses."""
        self.config = config
        self.dsn = _dsn(config if local_config is None else local_config)
        self.pool: dict[str, Any] = {}
        self._in_blocks: set[str] = set()

    @contextmanager
    def __call__(self, name: str | None = None) -> Iterator[Any]:
        """Yield a connection for the block. Whatever is not committed at its end is lost.

        The next block gets the same session, with its temporary tables. A block inside another one gets its own.
        """
        name = self._name_outside_blocks(name)
        connection = self.connection(name)
        self._in_blocks.add(name)
        try:
            yield connection
        finally:
            self._in_blocks.discard(name)
            self.close_connection(connection)

    def connection(self, name: str | None = None) -> Any:
        """Return the open connection of this name, by default that of the thread, or a new one."""
        name = name or threading.current_thread().name
        connection = self.pool.get(name)
        if connection is not None and _is_lost(connection):
            self.close_connection(connection, force=True)
            connection = None
        if connection is None:
            connection = self.pool[name] = psycopg2.connect(self.dsn)
        return connection

    def close_connection(self, connection: Any, force: bool = False) -> None:
        """Roll back and keep the connection for the next caller; with `force`, or if it is broken, close it."""
        with suppress(psycopg2.Error):
            if not force and not connection.closed and connection in self.pool.values():
                connection.rollback()
                connection.autocommit = False
                return
        for name in [name for name, pooled in self.pool.items() if pooled is connection]:
            del self.pool[name]
        connection.close()

    def close(self) -> None:
        """Close every connection."""
        for connection in list(self.pool.values()):
            self.close_connection(connection, force=True)

    def _name_outside_blocks(self, name: str | None) -> str:
        name = name or threading.current_thread().name
        while name in self._in_blocks:
            name += "+"
        return name

    def force_reconnect(self) -> None:
        """Have the next caller get a new connection."""
        self.close()

    def is_operational_exception(self, error: BaseException) -> bool:
        """True if the same call may succeed on a new connection, or later. False if the statement was cancelled."""
        if isinstance(error, QueryCanceledError):
            return False
        if isinstance(error, self.operational_exceptions):
            return True
        if not isinstance(error, self.conditional_exceptions) or getattr(error, "pgcode", None):
            return False
        said = f"{error} {getattr(error, 'pgerror', None)}"
        return any(text in said for text in LOST_CONNECTION_TEXTS)


def _is_lost(connection: Any) -> bool:
    """True if the connection is closed, or the server has closed it while it was idle."""
    if connection.closed:
        return True
    socket = select.poll()
    socket.register(connection, select.POLLIN)
    if connection.get_transaction_status() != TRANSACTION_STATUS_IDLE or not socket.poll(0):
        return False
    # The server has sent something that nobody asked for: its farewell, or a notification.
    try:
        connection.cursor().execute("SELECT 1")
        connection.rollback()
    except psycopg2.Error:
        return True
    return False


def _dsn(options: Any) -> Dsn:
    """Return the connection string. PGCONNECT_TIMEOUT has to be respected here; libpq itself respects PGAPPNAME."""
    parts: dict[str, Any] = {name: value for name in OPTIONS if (value := options.get(name)) not in (None, "")}
    if "PGCONNECT_TIMEOUT" not in os.environ:
        parts["connect_timeout"] = CONNECT_TIMEOUT_SECONDS
    return Dsn(make_dsn(None, fallback_application_name="crontabber", **parts, **KEEPALIVES))
