"""A primary and a standby that follows it, behind a proxy that leads to the primary."""

import os
import shutil
import signal
import tempfile
from pathlib import Path
from typing import Any
from unittest import SkipTest

import psycopg2

from crontabber.store.embedded.programs import candidate_folders, find_programs, run
from crontabber.store.embedded.server import EmbeddedServer
from crontabber.store.embedded.socket_path import SOCKET_NAME
from tests.integration.faults import FaultTestCase
from tests.integration.faulty_proxy import FaultyProxy
from tests.support import processes_under, skip_without_programs, wait_until

# No machine crashes here, only processes: what PostgreSQL has written is there.
SETTINGS = {"fsync": "off", "wal_keep_size": "256MB", "wal_retrieve_retry_interval": "100ms"}
STREAMING = "SELECT pid FROM pg_stat_replication WHERE state = 'streaming'"
SYNCHRONOUS = "SELECT pid FROM pg_stat_replication WHERE sync_state = 'sync'"
CAUGHT_UP = "SELECT pg_current_wal_lsn() <= replay_lsn FROM pg_stat_replication"


class FailoverTestCase(FaultTestCase):
    """`self.proxy` leads to the primary. A second one, between the two servers, can keep the standby behind."""

    primary: EmbeddedServer
    standby: EmbeddedServer
    root: Path
    servers = 0

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        skip_without_programs()
        if not Path(find_programs(candidate_folders()), "pg_basebackup").exists():
            raise SkipTest("pg_basebackup is not installed")
        cls.root = Path(tempfile.mkdtemp(prefix="failover-"))
        cls.root.chmod(0o755)
        cls.primary = EmbeddedServer(str(cls.root / "data"))
        cls.primary.start()
        for name, value in SETTINGS.items():
            ask(cls.primary, f"ALTER SYSTEM SET {name} = '{value}'")
        cls.primary.stop(force=True)
        cls.primary.start()
        cls.replication = FaultyProxy(cls.primary.connection_options()).__enter__()
        cls.proxy = FaultyProxy(cls.primary.connection_options()).__enter__()
        cls.make_standby()

    @classmethod
    def tearDownClass(cls) -> None:
        # Not a class cleanup: nose does not support them.
        for end in (cls.proxy, cls.replication):
            end.__exit__(None, None, None)
        for server in (cls.standby, cls.primary):
            server.stop(force=True)
        shutil.rmtree(cls.root, ignore_errors=True)
        super().tearDownClass()

    @classmethod
    def make_standby(cls) -> None:
        """Copy the primary, and start the copy as its standby."""
        cls.servers += 1
        folder = cls.root / f"standby-{cls.servers}"
        account = cls.primary.account
        folder.mkdir(mode=0o700)
        shutil.chown(folder, account.uid, account.gid)
        backup = str(Path(find_programs(candidate_folders()), "pg_basebackup"))
        dsn = " ".join(f"{name}={value}" for name, value in cls.replication.options.items() if name != "dbname")
        run([backup, f"--dbname={dsn}", "--pgdata=.", "--write-recovery-conf", "--checkpoint=fast", "--no-sync"],
            account, str(folder))  # fmt: skip
        (folder / f"{SOCKET_NAME}.lock").unlink()  # that of the primary
        cls.standby = EmbeddedServer(str(folder))
        cls.standby.start()

    def connect(self) -> Any:
        return connected(self.primary)

    def configure(self, *entries: str, **options: Any) -> None:
        super().configure(*entries, **{"connection": self.proxy.options, **options})

    def wait_for_the_standby(self) -> None:
        """Wait until it knows all that the primary knows."""
        wait_until(lambda: self.sql(STREAMING), "the standby does not follow")
        wait_until(lambda: self.sql(CAUGHT_UP) == [(True,)], "the standby lags behind")

    def keep_the_standby_behind(self) -> None:
        """Cut it off. What it has received it would replay before it is promoted, however late."""
        self.replication.refuse()
        wait_until(lambda: not self.sql(STREAMING), "the standby still follows")

    def make_synchronous(self) -> None:
        """Have each commit wait until the standby has it."""
        self.sql("ALTER SYSTEM SET synchronous_standby_names = '*'")
        self.sql("SELECT pg_reload_conf()")
        wait_until(lambda: self.sql(SYNCHRONOUS), "the standby is not synchronous")

    def promote(self) -> None:
        """Make the standby the primary, whatever has become of the old one; the proxy leads to it."""
        ask(self.standby, "SELECT pg_promote()")
        self.old, type(self).primary = self.primary, self.standby
        self.connection = self.connect()
        self.proxy.switch_to(self.primary.connection_options())

    def replace_the_old_primary(self) -> None:
        """Remove it, and make a new standby."""
        self.old.stop(force=True)
        shutil.rmtree(self.old.data_dir, ignore_errors=True)
        self.replication.switch_to(self.primary.connection_options())
        self.replication.admit()
        self.make_standby()


def connected(server: EmbeddedServer) -> Any:
    connection = psycopg2.connect(server.dsn)
    connection.autocommit = True
    return connection


def ask(server: EmbeddedServer, statement: str) -> list[Any]:
    """Return the answer of a server, on a connection of its own."""
    connection = connected(server)
    try:
        cursor = connection.cursor()
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def crash(server: EmbeddedServer) -> None:
    """Kill all processes of a server at once."""

    def processes() -> list[int]:
        return processes_under(Path(server.data_dir), "postgres")

    for pid in processes():
        # A child may have ended with its parent.
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    wait_until(lambda: not processes(), "a process of the server is still running")
