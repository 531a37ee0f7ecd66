"""Shared by the integration tests: a server, a clean database, an ini file, real crontabber processes."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
import unittest
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import psycopg2
from configobj import ConfigObj

from crontabber.errors import EmbeddedServerError
from crontabber.testing.settings import embedded_server

ROOT = Path(__file__).resolve().parent.parent
OWN_SERVER = ROOT / "test-crontabber.ini"
# Longer than anything takes: a test that waits this long has failed.
PATIENCE_SECONDS = 60
# The longest that `crontabber --version` takes on an idle machine.
START_SECONDS = 0.1
OPTIONS = ("host", "port", "dbname", "user", "password")


@cache
def connection_options() -> dict[str, str]:
    """Return the options of the server in test-crontabber.ini, or else of an embedded one that stops with us."""
    if OWN_SERVER.exists():
        section = ConfigObj(str(OWN_SERVER))["resource"]["postgresql"]
        return {name: section[name] for name in OPTIONS if section.get(name)}
    server = embedded_server()

    def clean_up() -> None:
        server.stop(force=True)
        shutil.rmtree(Path(server.data_dir).parent, ignore_errors=True)

    _before_sigterm(clean_up)
    return server.connection_options()


def connect(**options: str) -> Any:
    """Open a connection for the test itself, in autocommit."""
    connection = psycopg2.connect(**(connection_options() | options))
    connection.autocommit = True
    return connection


def skip_without_programs() -> None:
    """Raise SkipTest if PostgreSQL's programs are not installed."""
    from crontabber.store.embedded.programs import candidate_folders, find_programs

    try:
        find_programs(candidate_folders())
    except EmbeddedServerError as error:
        raise unittest.SkipTest(str(error)) from error


def is_running(pid: int | str) -> bool:
    """Return whether the process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def processes_under(folder: Path, name: str = "") -> list[int]:
    """Return the ids of processes that work in the folder or below it; only of the program `name`, if given."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            here = Path(os.readlink(entry / "cwd")).is_relative_to(folder)
            if here and name in ("", (entry / "comm").read_text().strip()):
                found.append(int(entry.name))
    return found


def assert_within(limit: float, seconds: float) -> None:
    """Fail if something took longer than `limit` seconds, multiplied by how slow this machine is right now."""
    if seconds < limit:
        return
    began = time.monotonic()
    subprocess.run([sys.executable, "-m", "crontabber", "--version"], cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    slowness = max((time.monotonic() - began) / START_SECONDS, 1)
    if seconds >= limit * slowness:
        raise AssertionError(f"it took {seconds:.2f} s: more than {limit} s on a machine that takes {slowness:.1f} times as long as an idle one")


def wait_until(happened: Callable[[], Any], otherwise: str, seconds: float = PATIENCE_SECONDS) -> Any:
    """Wait until `happened` returns something true, and return that. AssertionError with `otherwise` if it does not."""
    deadline = time.monotonic() + seconds
    while not (result := happened()):
        if time.monotonic() > deadline:
            raise AssertionError(otherwise)
        time.sleep(0.005)
    return result


class DatabaseTestCase(unittest.TestCase):
    """Each test starts with an empty database and its own folder for its jobs and its ini file."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(tempfile.mkdtemp(prefix="crontabber-test-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.connection = self.connect()
        self.addCleanup(self.connection.close)
        self.empty_the_database()

    def connect(self) -> Any:
        return connect()

    def empty_the_database(self) -> None:
        tables = self.sql("SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = current_schema()")
        for (name,) in tables:
            self.sql(f"DROP TABLE {name} CASCADE")

    def sql(self, statement: str, parameters: Any = None) -> list[Any]:
        with self.connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []

    def row(self, app_name: str, *columns: str) -> Any:
        """Return some columns of a job's state: the value itself if it is one column, None if there is no row."""
        rows = self.sql(f"SELECT {', '.join(columns)} FROM crontabber WHERE app_name = %s", (app_name,))
        if not rows:
            return None
        return rows[0][0] if len(columns) == 1 else rows[0]

    def due(self, *app_names: str) -> None:
        """Make these jobs due now."""
        self.sql("UPDATE crontabber SET next_run = now() - interval '1 second' WHERE app_name = ANY(%s)", (list(app_names),))

    def ran(self) -> list[str]:
        """Return the lines that jobs have noted since the last call, in order."""
        notes = self.folder / "ran.txt"
        lines = notes.read_text("utf-8").splitlines() if notes.exists() else []
        notes.unlink(missing_ok=True)
        return lines

    def wait_for(self, note: str) -> None:
        """Wait until a job has left this note."""
        wait_until((self.folder / note).exists, f"{note} did not appear")

    def write_module(self, name: str, source: str) -> None:
        (self.folder / f"{name}.py").write_text(textwrap.dedent(source), "utf-8")

    def ini(
        self, jobs: str = "", extra: str = "", name: str = "crontabber.ini",
        connection: dict[str, str] | None = None, **crontabber_options: Any,
    ) -> Path:  # fmt: skip
        """Write an ini file for these jobs on the test database; `extra` goes at its end, in the section crontabber."""
        lines = ["[resource]", "[[postgresql]]"]
        lines += [f'{key}="{value}"' for key, value in (connection or connection_options()).items()]
        lines += ["[crontabber]", f"jobs='''{jobs}'''"]
        lines += [f"{key}={value}" for key, value in crontabber_options.items()]
        path = self.folder / name
        path.write_text("\n".join([*lines, textwrap.dedent(extra), ""]))
        return path

    def environment(self, **env: str) -> dict[str, str]:
        """Return our environment without settings of libpq and crontabber, but with the checkout and the jobs."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("PG") and not k.startswith("crontabber")}
        return inherited | {"PYTHONPATH": os.pathsep.join([str(self.folder), str(ROOT)])} | env

    def command(self, *arguments: str, ini: str = "crontabber.ini") -> list[str]:
        return [sys.executable, "-m", "crontabber", f"--admin.conf={self.folder / ini}", *arguments]

    def crontabber(
        self, *arguments: str, ini: str = "crontabber.ini", timeout: float = 60, **env: str
    ) -> "subprocess.CompletedProcess[str]":
        """Run the real command to its end, with the ini file that `ini()` wrote."""
        return subprocess.run(
            self.command(*arguments, ini=ini), env=self.environment(**env), cwd=self.folder, text=True,
            stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, check=False,
        )  # fmt: skip

    def start(self, *arguments: str, ini: str = "crontabber.ini", **env: str) -> "subprocess.Popen[str]":
        """Start the real command. It is killed at the end of the test if it still runs."""
        return self.start_program(self.command(*arguments, ini=ini), **env)

    def start_program(self, command: list[str], **env: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            command, env=self.environment(**env), cwd=self.folder, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.addCleanup(_end, process)
        return process


def _before_sigterm(clean_up: Callable[[], None]) -> None:
    """Clean up on SIGTERM, too: Python does not run `atexit` when a signal ends it."""

    def end(signum: int, frame: Any) -> None:
        clean_up()
        signal.signal(signum, signal.SIG_DFL)
        os.kill(os.getpid(), signum)

    signal.signal(signal.SIGTERM, end)


def _end(process: "subprocess.Popen[str]") -> None:
    if process.poll() is None:
        process.kill()
    process.communicate()
