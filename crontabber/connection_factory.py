"""Connect to PostgreSQL with psycopg2. Options that are empty are left to libpq."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import Any, ClassVar

import psycopg2
from configman import Namespace, RequiredConfig
from psycopg2.extensions import QueryCanceledError, make_dsn, parse_dsn

from crontabber.store import keepalives, sessions
from crontabber.store.state_connection import NAME as OF_THE_STATE

OPTIONS = ("host", "port", "dbname", "user", "password")

CONNECT_TIMEOUT_SECONDS = 10

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

    # Called with each new connection.
    on_connect: ClassVar[Callable[[Any], None] | None] = None

    _pid = 0

    def __init__(self, config: Any, local_config: Any = None) -> None:
        """`local_config`, a mapping, replaces `config` as the source of the options: for subclasses."""
        self.config = config
        self.dsn = _dsn(config if local_config is None else local_config)
        self._forget_after_fork()
        # A subclass may put a pool of its own there.
        self.pool = self._sessions

    @contextmanager
    def __call__(self, name: str | None = None) -> Iterator[Any]:
        """Yield a connection for the block. Whatever is not committed at its end is lost.

        The next block gets the same session, with its temporary tables. A block inside another one gets its own.
        """
        self._forget_after_fork()
        name = self._name_outside_blocks(name)
        connection = self.connection(name)
        key, before, pid = _key(name), self._settings(connection), os.getpid()
        self._in_blocks.add(key)
        try:
            yield connection
        finally:
            # A child that was forked inside the block leaves the connection to its parent.
            if pid == os.getpid():
                self._in_blocks.discard(key)
                self.close_connection(connection)
                self._restore(connection, before)

    def connection(self, name: str | None = None) -> Any:
        """Return the open connection of this name, by default that of the thread, or a new one."""
        self._forget_after_fork()
        key = _key(name)
        connection = self._sessions.get(key)
        if connection is not None and sessions.is_lost(connection):
            self.close_connection(connection, force=True)
            connection = None
        if connection is None:
            self._close_idle_ones_of_ended_threads()
            connection = self._sessions[key] = psycopg2.connect(self.dsn)
            if name != OF_THE_STATE:  # That sends the same with its first statement.
                keepalives.set_on_server(connection)
            if ConnectionFactory.on_connect:
                ConnectionFactory.on_connect(connection)
        return connection

    def close_connection(self, connection: Any, force: bool = False) -> None:
        """Roll back and keep the connection for the next caller; with `force`, or if it is broken, close it."""
        if not force and self._is_pooled(connection) and sessions.rolled_back(connection):
            return
        self._forget(connection)
        with suppress(psycopg2.Error):
            connection.close()

    def close(self) -> None:
        """Close every connection."""
        for connection in list(self._sessions.values()):
            self.close_connection(connection, force=True)

    def force_reconnect(self) -> None:
        """Have the next caller get a new connection."""
        self.close()

    def end_sessions(self) -> None:
        """Close every connection, as when the run of a job has ended; another thread's when that lets go of it."""
        for key, connection in list(self._sessions.items()):
            if _is_another_thread(key) or sessions.is_busy(connection):
                # close() would wait for the statement of the other thread. Nothing refers to the connection after it.
                self._forget(connection)
            else:
                self.close_connection(connection, force=True)

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

    @cached_property
    def _sessions(self) -> dict[str | threading.Thread, Any]:
        """The open connections by name, or by thread if they have no name."""
        return {}

    @cached_property
    def _in_blocks(self) -> set[str | threading.Thread]:
        return set()

    def _name_outside_blocks(self, name: str | None) -> str | None:
        """Return `name`, or another one if its connection is in use by a block around this one."""
        if _key(name) not in self._in_blocks:
            return name
        name = name or f"thread {threading.get_ident()}"
        while name in self._in_blocks:
            name += "+"
        return name

    def _settings(self, connection: Any) -> dict[str, Any]:
        """Return what the block must put back: nothing if the connection is a subclass's own."""
        return sessions.settings(connection) if self._is_pooled(connection) else {}

    def _restore(self, connection: Any, before: dict[str, Any]) -> None:
        try:
            sessions.restore(connection, before)
        except psycopg2.Error:
            self.close_connection(connection, force=True)

    def _is_pooled(self, connection: Any) -> bool:
        return any(pooled is connection for pooled in list(self._sessions.values()))

    def _forget(self, connection: Any) -> None:
        for key, pooled in list(self._sessions.items()):
            if pooled is connection:
                self._sessions.pop(key, None)

    def _forget_after_fork(self) -> None:
        """Leave the connections of the parent to it. psycopg2 closes none that another process has opened."""
        if self._pid != os.getpid():
            self._sessions.clear()
            self._in_blocks.clear()
            self._pid = os.getpid()

    def _close_idle_ones_of_ended_threads(self) -> None:
        for key, connection in list(self._sessions.items()):
            if isinstance(key, threading.Thread) and not key.is_alive() and sessions.is_idle(connection):
                self.close_connection(connection, force=True)


def _key(name: str | None) -> str | threading.Thread:
    # Not the name of the thread: several may have the same, and it may change.
    return name or threading.current_thread()


def _is_another_thread(key: str | threading.Thread) -> bool:
    return isinstance(key, threading.Thread) and key.is_alive() and key is not threading.current_thread()


def _dsn(options: Any) -> Dsn:
    """Return the connection string. PGCONNECT_TIMEOUT has to be respected here; libpq itself respects PGAPPNAME."""
    parts: dict[str, Any] = {name: value for name in OPTIONS if (value := options.get(name)) not in (None, "")}
    if "PGCONNECT_TIMEOUT" not in os.environ:
        parts["connect_timeout"] = CONNECT_TIMEOUT_SECONDS
    return Dsn(make_dsn(None, fallback_application_name="crontabber", **parts, **keepalives.of_libpq()))
