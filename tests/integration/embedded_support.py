"""Shared by the tests of the embedded PostgreSQL: start clients, find processes, act as other users."""

import multiprocessing
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg2

from crontabber.errors import EmbeddedServerError
from crontabber.store.embedded.server import EmbeddedServer
from tests.support import PATIENCE_SECONDS, ROOT, processes_under, skip_without_programs, wait_until

CLIENT = Path(__file__).with_name("embedded_client.py")
AS_ROOT = unittest.skipUnless(os.geteuid() == 0, "needs root, to act as several users")

Process = subprocess.Popen[str]


class EmbeddedTestCase(unittest.TestCase):
    """A `root` that the server's user can reach, with a `data_dir` that has been used; no server outlives a test."""

    root: Path
    data_dir: Path

    @classmethod
    def setUpClass(cls) -> None:
        skip_without_programs()
        if not os.path.exists("/proc/self/cwd"):
            raise unittest.SkipTest("needs /proc, to see which servers run")
        cls.root = Path(tempfile.mkdtemp(prefix="embedded-"))
        cls.root.chmod(0o755)
        cls.data_dir = cls.root / "data"
        with EmbeddedServer(str(cls.data_dir)):
            pass

    @classmethod
    def tearDownClass(cls) -> None:
        # Not a class cleanup: nose does not support them.
        shutil.rmtree(cls.root)

    def tearDown(self) -> None:
        left = servers_under(self.root, wait=True)
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.assertEqual([], left, "a server is still running")

    def new(self) -> Path:
        """Return a data_dir that does not exist yet."""
        return self.root / self._testMethodName

    def start(
        self,
        *arguments: str,
        at: Path | None = None,
        occasion: str = "",
        env: Mapping[str, str] = os.environ,
        **more: Any,
    ) -> Process:
        return subprocess.Popen(
            [sys.executable, CLIENT, at or self.data_dir, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**env, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "OCCASION": self.id() + occasion},
            **more,
        )

    def client(self, *arguments: str, **more: Any) -> tuple[int, str, str]:
        """Run a client to its end; return its exit code, stdout and stderr."""
        with self.start(*arguments, **more) as process:
            out, err = process.communicate(timeout=PATIENCE_SECONDS)
        return process.returncode, out, err

    def visit(self, *arguments: str, **more: Any) -> tuple[int, int]:
        """Run a client that succeeds; return the postmaster's process id and the number of visits in this test."""
        code, out, err = self.client(*arguments, **more)
        self.assertEqual((0, ""), (code, err))
        return words(out)

    @contextmanager
    def staying(self, ending: str = "stay", **more: Any) -> Iterator[tuple[Process, int, int]]:
        """Keep a client connected; yield it, the postmaster's process id and the number of visits."""
        with self.start(ending, **more) as process:
            assert process.stdout
            try:
                yield process, *words(process.stdout.readline())
            finally:
                if process.poll() is None:
                    process.communicate("\n", timeout=PATIENCE_SECONDS)

    def assertRefused(self, result: tuple[int, str, str], *lines: str) -> None:
        self.assertEqual((1, "", [f"crontabber: {lines[0]}", *lines[1:]]), (*result[:2], result[2].splitlines()))


def words(line: str) -> tuple[int, int]:
    _, pid, visits, *_ = line.split()
    return int(pid), int(visits)


def as_user(name: str, act: Callable[[], str]) -> str:
    """Return what `act` returns, or the error that it raises, in a process of that user.

    It forks, because that user may not be allowed to reach the interpreter.
    """
    user = pwd.getpwnam(name)
    receiver, sender = multiprocessing.Pipe(duplex=False)
    child = os.fork()
    if child == 0:
        os.chdir("/")
        os.setgroups([])
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
        try:
            sender.send(act())
        except (psycopg2.Error, EmbeddedServerError, OSError) as error:
            sender.send(repr(error))
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    return str(receiver.recv())


def servers_under(folder: Path, wait: bool = False) -> list[int]:
    """Return the ids of PostgreSQL's processes below `folder`; with `wait`, those that are still there after 5 seconds."""
    if wait:
        with suppress(AssertionError):
            wait_until(lambda: not processes_under(folder, "postgres"), "servers are still running", 5)
    return processes_under(folder, "postgres")


def open_files(pid: int) -> set[str]:
    with suppress(OSError):
        return {os.readlink(file) for file in Path(f"/proc/{pid}/fd").iterdir()}
    return set()
