"""A PostgreSQL server in a folder: started by the first process that uses it, stopped by the last.

Three things decide, and none of them outlives a process that is killed: which process listens on the socket in the
folder; the file lock on the gate, held while starting and stopping; the shared file lock of every process that uses it.
"""

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any
from weakref import WeakSet

import psycopg2
from psycopg2.extensions import make_dsn, quote_ident

from crontabber.errors import EmbeddedServerError
from crontabber.store.embedded import cluster, postmaster
from crontabber.store.embedded.programs import candidate_folders, check_access, find_programs, server_account
from crontabber.store.embedded.socket_path import PORT, socket_directory

GATE_TIMEOUT_SECONDS = 180
# A client that has just disconnected is still listed for some milliseconds.
DISCONNECT_SECONDS = 0.5
POLL_SECONDS = 0.01
# If the postmaster was killed, its other processes take a moment to notice.
RETRY_PAUSES_SECONDS = (0.1, 0.3, 1.0, 3.0)

COUNT_OTHER_CLIENTS = """
SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
HAS_ROLE = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = %s)"
HAS_DATABASE = "SELECT EXISTS (SELECT FROM pg_database WHERE datname = %s)"


class EmbeddedServer:
    """Use it as a context manager, or call start() and stop(). The connection options are known before the start.

    No process owns the server: it runs as long as any process uses it, and a process that is killed leaves it running
    for the next one.
    """

    def __init__(self, data_dir: str | os.PathLike[str], run_as: str | None = None) -> None:
        self.data_dir = cluster.absolute_folder(os.fspath(data_dir))
        self.account = server_account(run_as or "")
        with self._errors_named():
            self.socket_directory = socket_directory(self.data_dir)
        self._mutex = threading.RLock()
        self._users_lock: int | None = None
        self._user_pid = 0
        self._connections: WeakSet[Any] = WeakSet()

    def connection_options(self) -> dict[str, str]:
        """Return the options with which a plain ConnectionFactory connects to this server while it is in use."""
        return {
            "host": self.socket_directory,
            "port": str(PORT),
            "dbname": cluster.DATABASE,
            "user": cluster.SUPERUSER,
        }

    @property
    def dsn(self) -> str:
        return str(make_dsn(**self.connection_options()))

    @property
    def in_use(self) -> bool:
        """True if this process uses the server. A forked child shares its parent's use."""
        return self._users_lock is not None

    def __enter__(self) -> "EmbeddedServer":
        self.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server unless it is running, and use it until stop(). Call it again, for example, after a crash."""
        with self._mutex, self._errors_named():
            cluster.prepare_folder(self.data_dir, self.account)
            with self._gate() as gate:
                if not postmaster.becomes_ready(self.socket_directory):
                    self._start_server(gate)
                self._join()

    def stop(self, force: bool = False) -> None:
        """Stop using the server. Shut it down if nobody else is connected, or with `force` in any case."""
        with self._mutex, self._errors_named():
            if self._users_lock is None or self._user_pid != os.getpid():
                return
            for connection in list(self._connections):
                connection.close()
            with self._gate():
                if force or (self._is_last_user() and not self._others_stay_connected()):
                    postmaster.stop_postmaster(self.data_dir, self.socket_directory)
                self._leave()

    def remember(self, connection: Any) -> None:
        """Have stop() close this connection, so that it does not keep the server running."""
        self._connections.add(connection)

    def create_missing(self, role: str, database: str) -> None:
        """Create the role, a superuser, and the database. Anyone who can reach the socket can be superuser anyway."""
        with self._mutex, self._errors_named(), self._gate(), self._administrator() as cursor:
            if not _answer(cursor, HAS_ROLE, role):
                cursor.execute(f"CREATE ROLE {quote_ident(role, cursor)} SUPERUSER LOGIN")
            if not _answer(cursor, HAS_DATABASE, database):
                cursor.execute(f"CREATE DATABASE {quote_ident(database, cursor)}")

    def drop(self, database: str) -> None:
        """Drop the database if it exists, whoever is connected to it."""
        with self._mutex, self._errors_named(), self._administrator() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {quote_ident(database, cursor)} WITH (FORCE)")

    def _start_server(self, gate: int) -> None:
        programs = find_programs(candidate_folders())
        advice = "open that folder (chmod o+x), install crontabber elsewhere, or set run_as to another user"
        check_access(os.path.join(programs, "pg_ctl"), self.account, advice)
        if not cluster.has_cluster(self.data_dir):
            cluster.make_cluster(self.data_dir, programs, self.account, gate)
        cluster.check_version(self.data_dir, programs, self.account)
        found_pid_file = postmaster.has_pid_file(self.data_dir)
        for pause in RETRY_PAUSES_SECONDS:
            try:
                return postmaster.start_postmaster(self.data_dir, programs, self.account)
            except EmbeddedServerError:
                if not found_pid_file and not postmaster.has_pid_file(self.data_dir):
                    raise
            time.sleep(pause)
            if postmaster.becomes_ready(self.socket_directory):
                return None
        return postmaster.start_postmaster(self.data_dir, programs, self.account)

    def _join(self) -> None:
        if self._users_lock is None:
            self._users_lock = self._open_lock(cluster.USERS_FILE)
            # It never has to wait: the exclusive lock is only taken behind the gate.
            fcntl.flock(self._users_lock, fcntl.LOCK_SH)
            self._user_pid = os.getpid()

    def _leave(self) -> None:
        if self._users_lock is not None:
            # Closing alone would not release it if a job has left a forked child behind.
            fcntl.flock(self._users_lock, fcntl.LOCK_UN)
            os.close(self._users_lock)
            self._users_lock = None

    def _is_last_user(self) -> bool:
        assert self._users_lock is not None
        try:
            fcntl.flock(self._users_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _others_stay_connected(self) -> bool:
        """True if other clients, such as psql, stay connected, or if we cannot find out."""
        deadline = time.monotonic() + DISCONNECT_SECONDS
        try:
            with self._administrator() as cursor:
                while _answer(cursor, COUNT_OTHER_CLIENTS):
                    if time.monotonic() > deadline:
                        return True
                    time.sleep(POLL_SECONDS)
        except psycopg2.Error:
            return True
        return False

    @contextmanager
    def _administrator(self) -> Iterator[Any]:
        connection = psycopg2.connect(self.dsn, connect_timeout=10)
        try:
            connection.autocommit = True
            yield connection.cursor()
        finally:
            connection.close()

    @contextmanager
    def _gate(self) -> Iterator[int]:
        """Let one process at a time start, stop or create. Closing it releases it, unless initdb has inherited it."""
        gate = self._open_lock(cluster.GATE_FILE)
        try:
            self._wait_for(gate)
            yield gate
        finally:
            os.close(gate)

    def _wait_for(self, gate: int) -> None:
        deadline = time.monotonic() + GATE_TIMEOUT_SECONDS
        while True:
            try:
                return fcntl.flock(gate, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise EmbeddedServerError(
                        f"another process has been starting or stopping PostgreSQL in {self.data_dir}"
                        f" for {GATE_TIMEOUT_SECONDS} seconds: stop that process, then try again"
                    ) from None
            time.sleep(POLL_SECONDS)

    def _open_lock(self, name: str) -> int:
        path = os.path.join(self.data_dir, name)
        try:
            created = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        if self.account.switched:
            os.fchown(created, self.account.uid, self.account.gid)
        return created

    @contextmanager
    def _errors_named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise EmbeddedServerError(f"data_dir={self.data_dir} cannot be used: {error}") from error


def _answer(cursor: Any, question: str, *values: str) -> Any:
    cursor.execute(question, values)
    return cursor.fetchone()[0]
