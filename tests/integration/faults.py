"""Real faults for real processes, and what has to hold after them.

Processes are started, killed at a random or a named point, frozen and thawed; sessions are terminated; a server of the
test's own is stopped, started, crashed and made a standby.
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
ELSEWHERE = "import socket; socket.gethostname = lambda: %r; from crontabber.app import main; exit(main())"

OUR_LOCKS = """
SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
# Since this test has begun: a test before it may have left one in this very process.
OUR_SESSIONS = """
SELECT pid FROM pg_stat_activity WHERE application_name = 'crontabber' AND datname = current_database()
AND backend_start > (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid())
"""
WAITING = f"{OUR_SESSIONS} AND wait_event_type = 'Lock'"


def seeded() -> random.Random:
    """Random numbers that can be had again: the seed is printed, and taken from the environment."""
    seed = int(os.environ.get(SEED) or random.randrange(2**32))
    print(f"{SEED}={seed}")
    return random.Random(seed)


class FaultTestCase(DatabaseTestCase):
    """Processes run in `self.folder`, where the jobs leave notes for the test and wait for notes of the test's."""

    def configure(self, *entries: str, **options: Any) -> None:
        """An ini file for jobs of fault_jobs, written as in `Nap|1h`; what failed is due again at once."""
        jobs = "\n".join(f"{JOBS}.{entry}" for entry in entries)
        self.ini(jobs, **{"error_retry_time": 0, **options})

    def give(self, note: str) -> None:
        (self.folder / note).touch()

    def forget(self, note: str) -> None:
        (self.folder / note).unlink(missing_ok=True)

    def pause_of(self, seconds: float) -> None:
        """Where a timeout of the server's is meant to pass."""
        time.sleep(seconds)

    # -- faults

    def start_elsewhere(self, host: str = "elsewhere") -> Any:
        """A crontabber that takes this for another host: nobody here can see whether it lives."""
        return self.start_program([sys.executable, "-c", ELSEWHERE % host, f"--admin.conf={self.folder / 'crontabber.ini'}"])

    def kill(self, process: Any) -> None:
        process.send_signal(signal.SIGKILL)
        process.wait()

    def freeze(self, process: Any) -> None:
        process.send_signal(signal.SIGSTOP)

    def thaw(self, process: Any) -> None:
        process.send_signal(signal.SIGCONT)

    def terminate_holder_of_the_claim(self) -> int:
        """End the session that the state is kept through; how many there were."""
        return len(self.sql(f"SELECT pg_terminate_backend(pid) FROM ({OUR_LOCKS}) AS session"))

    def terminate_sessions_of_jobs(self) -> int:
        return len(self.sql(f"SELECT pg_terminate_backend(pid) FROM ({OUR_SESSIONS} EXCEPT {OUR_LOCKS}) AS session"))

    @contextmanager
    def holding(self, statement: str) -> Iterator[None]:
        """In a transaction of somebody else's, which holds the locks that the statement takes."""
        other = self.connect()
        try:
            other.autocommit = False
            other.cursor().execute(statement)
            yield
        finally:
            other.close()

    def wait_for_somebody_to_wait(self) -> None:
        wait_until(lambda: self.sql(WAITING), "no crontabber waits for a lock")

    def set_for_new_sessions(self, setting: str, value: str) -> None:
        (database,) = self.sql("SELECT quote_ident(current_database())")[0]
        self.sql(f"ALTER DATABASE {database} SET {setting} = '{value}'")
        self.addCleanup(self.sql, f"ALTER DATABASE {database} RESET {setting}")

    # -- outcomes

    def end_of(self, process: Any, seconds: float = PATIENCE_SECONDS) -> "subprocess.CompletedProcess[str]":
        stdout, stderr = process.communicate(timeout=seconds)
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    def told_to_end(self, process: Any, signum: int = signal.SIGTERM) -> "subprocess.CompletedProcess[str]":
        """How it ended, within a second."""
        began = time.monotonic()
        process.send_signal(signum)
        end = self.end_of(process)
        assert_within(1, time.monotonic() - began)
        return end

    def together(self, count: int, *arguments: str) -> tuple[list[Any], float]:
        """As many crontabbers, started in the same instant; how each ended, and how many seconds it took them all."""
        began = time.monotonic()
        processes = [self.start(*arguments) for _ in range(count)]
        return [self.end_of(process) for process in processes], time.monotonic() - began

    def assert_at_rest(self) -> None:
        """Nothing is ongoing, nobody owns anything, and no session or lock of a crontabber is left."""
        self.assertEqual(self.sql("SELECT app_name FROM crontabber WHERE ongoing IS NOT NULL OR owner IS NOT NULL"), [])
        wait_until(lambda: not self.sql(OUR_SESSIONS), "a session of a crontabber is left")
        self.assertEqual(self.sql(OUR_LOCKS), [])

    def assert_each_once(self, things: Sequence[Any], wanted: Sequence[Any]) -> None:
        twice = sorted(thing for thing, count in Counter(things).items() if count > 1)
        missing = sorted(set(wanted) - set(things))
        self.assertEqual((twice, missing, len(things)), ([], [], len(wanted)), "(twice, missing, how many)")

    def errors_logged(self, app_name: str) -> list[str]:
        rows = self.sql("SELECT exc_type FROM crontabber_log WHERE app_name = %s AND exc_type IS NOT NULL ORDER BY id", (app_name,))
        return [exc_type for (exc_type,) in rows]


class OwnServerTestCase(FaultTestCase):
    """On a server of its own, which may go away. Skipped where there are no programs of PostgreSQL."""

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
        # Not a class cleanup: nose does not know these.
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
        """With `standby`, it follows a primary that never comes: what it has can only be read."""
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
