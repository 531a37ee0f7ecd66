"""Real faults for real processes, and what must hold after them.

Processes are started, killed at a random or a chosen point, frozen and thawed; sessions are terminated; the test's own
server is stopped, started, crashed and made a standby.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2

from crontabber.store.embedded.server import EmbeddedServer
from tests.support import PATIENCE_SECONDS, DatabaseTestCase, assert_within, skip_without_programs, wait_until

JOBS = "tests.integration.fault_jobs"
SEED = "CRONTABBER_TEST_SEED"
ELSEWHERE = """
import socket
from crontabber.store import second_look
socket.gethostname, second_look.SECOND_LOOK_SECONDS = lambda: %r, %r
from crontabber.app import main
exit(main())
"""

OUR_LOCKS = """
SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
# Only those since this test began: an earlier test may have left one in this process.
OUR_SESSIONS = """
SELECT pid FROM pg_stat_activity WHERE application_name = 'crontabber' AND datname = current_database()
AND backend_start > (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid())
"""
WAITING = f"{OUR_SESSIONS} AND wait_event_type = 'Lock'"


def seeded() -> random.Random:
    """Return a reproducible source of random numbers: the seed is printed, and can be set in the environment."""
    seed = int(os.environ.get(SEED) or random.randrange(2**32))
    print(f"{SEED}={seed}")
    return random.Random(seed)


class FaultTestCase(DatabaseTestCase):
    """Processes run in `self.folder`, where the jobs leave notes for the test and wait for notes from it."""

    def configure(self, *entries: str, **options: Any) -> None:
        """Write an ini file for jobs of fault_jobs, such as `Nap|1h`; a failed job is due again at once."""
        jobs = "\n".join(f"{JOBS}.{entry}" for entry in entries)
        self.ini(jobs, **{"error_retry_time": 0, **options})

    def give(self, note: str) -> None:
        (self.folder / note).touch()

    def forget(self, note: str) -> None:
        (self.folder / note).unlink(missing_ok=True)

    def pause(self, seconds: float) -> None:
        """Wait for what a test cannot observe, such as a timeout of the server."""
        time.sleep(seconds)

    # -- faults

    def start_elsewhere(self, host: str = "elsewhere", second_look: float = 0.1) -> Any:
        """Start a crontabber that believes it is on another host: no process here can see whether it is alive.

        It waits `second_look` seconds, not 15, before it believes that an owner on another host is dead.
        """
        return self.start_program([sys.executable, "-c", ELSEWHERE % (host, second_look), f"--admin.conf={self.folder / 'crontabber.ini'}"])

    def kill(self, process: Any) -> None:
        process.send_signal(signal.SIGKILL)
        process.wait()

    def freeze(self, process: Any) -> None:
        process.send_signal(signal.SIGSTOP)

    def thaw(self, process: Any) -> None:
        process.send_signal(signal.SIGCONT)

    def terminate_holder_of_the_claim(self) -> int:
        """Terminate the session that holds the claim; return how many there were."""
        return len(self.sql(f"SELECT pg_terminate_backend(pid) FROM ({OUR_LOCKS}) AS session"))

    def terminate_sessions_of_jobs(self) -> int:
        return len(self.sql(f"SELECT pg_terminate_backend(pid) FROM ({OUR_SESSIONS} EXCEPT {OUR_LOCKS}) AS session"))

    @contextmanager
    def holding(self, statement: str) -> Iterator[None]:
        """Hold the locks that `statement` takes, in the transaction of another session."""
        other = self.connect()
        try:
            other.autocommit = False
            other.cursor().execute(statement)
            yield
        finally:
            other.close()

    def wait_for_a_blocked_process(self) -> None:
        wait_until(lambda: self.sql(WAITING), "no crontabber waits for a lock")

    def set_for_new_sessions(self, setting: str, value: str) -> None:
        (database,) = self.sql("SELECT quote_ident(current_database())")[0]
        self.sql(f"ALTER DATABASE {database} SET {setting} = '{value}'")
        self.addCleanup(self.sql, f"ALTER DATABASE {database} RESET {setting}")

    # -- outcomes

    def end_of(self, process: Any, seconds: float = PATIENCE_SECONDS) -> "subprocess.CompletedProcess[str]":
        stdout, stderr = process.communicate(timeout=seconds)
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    def end_by_signal(self, process: Any, signum: int = signal.SIGTERM) -> "subprocess.CompletedProcess[str]":
        """Send a signal, and return how the process ended; it must end within a second."""
        began = time.monotonic()
        process.send_signal(signum)
        end = self.end_of(process)
        assert_within(1, time.monotonic() - began)
        return end

    def together(self, count: int, *arguments: str) -> tuple[list[Any], float]:
        """Start `count` crontabbers at the same time; return how each ended, and the seconds until all had ended."""
        began = time.monotonic()
        processes = [self.start(*arguments) for _ in range(count)]
        return [self.end_of(process) for process in processes], time.monotonic() - began

    def assert_at_rest(self) -> None:
        """Assert that no job is ongoing or owned, and that no crontabber has a session or a lock."""
        self.assertEqual(self.sql("SELECT app_name FROM crontabber WHERE ongoing IS NOT NULL OR owner IS NOT NULL"), [])
        wait_until(lambda: not self.sql(OUR_SESSIONS), "a session of a crontabber is still open")
        self.assertEqual(self.sql(OUR_LOCKS), [])

    def assert_each_once(self, things: Sequence[Any], wanted: Sequence[Any]) -> None:
        twice = sorted(thing for thing, count in Counter(things).items() if count > 1)
        missing = sorted(set(wanted) - set(things))
        self.assertEqual((twice, missing, len(things)), ([], [], len(wanted)), "(twice, missing, how many)")

    def errors_logged(self, app_name: str) -> list[str]:
        rows = self.sql("SELECT exc_type FROM crontabber_log WHERE app_name = %s AND exc_type IS NOT NULL ORDER BY id", (app_name,))
        return [exc_type for (exc_type,) in rows]


class OwnServerTestCase(FaultTestCase):
    """Use its own server, which may go away. Skipped where PostgreSQL's programs are not installed."""

    server: EmbeddedServer
    root: Path

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        skip_without_programs()
        cls.root = Path(tempfile.mkdtemp(prefix="faults-"))
        cls.root.chmod(0o755)
        cls.server = EmbeddedServer(str(cls.root / "data"))
        cls.server.start()

    @classmethod
    def tearDownClass(cls) -> None:
        # Not a class cleanup: nose does not support them.
        cls.server.stop(force=True)
        shutil.rmtree(cls.root, ignore_errors=True)
        super().tearDownClass()

    def setUp(self) -> None:
        self.start_server()
        super().setUp()
        self.addCleanup(lambda: self.connection.close())

    def connect(self) -> Any:
        connection = psycopg2.connect(self.server.dsn)
        connection.autocommit = True
        return connection

    def configure(self, *entries: str, **options: Any) -> None:
        super().configure(*entries, **{"connection": self.server.connection_options(), **options})

    def stop_server(self) -> None:
        self.server.stop(force=True)

    def start_server(self) -> None:
        self.server.start()

    def restart_server(self, standby: bool = False) -> None:
        """With `standby`, it follows a primary that never comes, so it is read-only."""
        self.stop_server()
        mark = self.root / "data" / "standby.signal"
        if standby:
            mark.touch()
            shutil.chown(mark, self.server.account.uid, self.server.account.gid)
            self.addCleanup(self.restart_server)
        else:
            mark.unlink(missing_ok=True)
        self.start_server()
        self.connection = self.connect()


class TcpServerTestCase(OwnServerTestCase):
    """Its own server listens on TCP, too, at an address of this machine that nobody else uses."""

    address = f"127.{random.randrange(1, 255)}.{random.randrange(256)}.{random.randrange(1, 255)}"

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        connection = psycopg2.connect(cls.server.dsn)
        connection.autocommit = True
        connection.cursor().execute(f"ALTER SYSTEM SET listen_addresses = '{cls.address}'")
        connection.close()
        with (cls.root / "data" / "pg_hba.conf").open("a") as rules:
            rules.write("host all all all trust\n")
        cls.server.stop(force=True)

    def tcp_options(self) -> dict[str, str]:
        return {**self.server.connection_options(), "host": self.address}
