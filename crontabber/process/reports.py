"""The pipe through which a child tells its supervisor what it runs. Its jobs may do anything to the pipe."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

from crontabber.process.descendants import Process, descendants, kill_descendants
from crontabber.process.lookout import ON_DUTY
from crontabber.process.signals import INTERRUPTION, TIMEOUT_SIGNAL

# What a worker without anything to run hears: look again; end, and tell the user what is left; just end.
LOOK, REPORT, END = b"l", b"r", b"e"
IDLE = "idle"


class Reporter:
    """The child's ends of two pipes. Nothing that happens to the supervisor disturbs the child: if it dies, the child
    keeps the deadline of its job itself.

    `worker` is the number of the child, 0 if it has no siblings.
    """

    def __init__(self, descriptor: int, words: int = -1, worker: int = 0) -> None:
        self.worker = worker
        self._end = _End(descriptor, os.O_WRONLY)
        self._words = _End(words, os.O_RDONLY) if worker else None
        self._supervisor = os.getppid()
        self._facts: dict[str, Any] = {}
        self._kill_timeout = 0.0
        # When the job was asked to end.
        self._asked_at: float | None = None
        self._others: set[Process] = set()
        # True after any job has.
        self.has_timed_out = False

    @contextmanager
    def running(
        self, facts: dict[str, Any], timeout: timedelta | None, kill_timeout: timedelta,
        has_timed_out: Callable[[], bool],
    ) -> Iterator[None]:  # fmt: skip
        """Report the start and the end of a job."""
        self.started(facts, timeout, kill_timeout)
        try:
            yield
        finally:
            self.ended(has_timed_out())

    def started(self, facts: dict[str, Any], timeout: timedelta | None, kill_timeout: timedelta) -> None:
        """Report that a job is about to start. Without a timeout, it may take as long as it likes."""
        self._facts, self._others = facts, descendants(self._top())
        self._kill_timeout, self._asked_at = kill_timeout.total_seconds(), None
        INTERRUPTION.set_timeout(timeout)
        if timeout:
            ON_DUTY.add(self)
        self._send_run(timeout.total_seconds() if timeout else None, kill_timeout.total_seconds())

    def ended(self, timed_out: bool) -> None:
        """Report that the job has ended, before its result is stored. Kill what it leaves behind if it `timed_out`."""
        INTERRUPTION.set_timeout(None)
        ON_DUTY.discard(self)
        if timed_out:
            self.has_timed_out = True
            self._send_run(None, 0)  # This may take a moment.
            kill_descendants(self._top(), but=self._others)
        self._send(None)

    def look(self) -> None:
        """If the supervisor has died, end a job that has reached its timeout; kill it, and this process, if it does not
        end. Called by the patrol, in its own thread."""
        if not INTERRUPTION.is_late or os.getppid() == self._supervisor:
            return
        if self._asked_at is None:
            self._asked_at = time.monotonic()
            os.kill(os.getpid(), TIMEOUT_SIGNAL)
        elif time.monotonic() - self._asked_at > self._kill_timeout:
            kill_descendants(os.getpid(), but=self._others)
            os.kill(os.getpid(), signal.SIGKILL)

    def connected(self, connection: Any) -> None:
        """Report a connection to the database, which the server may keep after the child was killed."""
        self._send([connection.info.host, connection.info.port, connection.info.backend_pid])

    def ready(self, number: int) -> None:
        """Report that siblings may run so many jobs."""
        if self.worker and number:
            self._send(number)

    def wait_for_word(self) -> bytes:
        """Report that a worker has nothing to run now, and wait until that may have changed."""
        assert self._words is not None
        self._send(IDLE)
        with INTERRUPTION.allowed():
            return self._words.read()

    def _send_run(self, timeout: float | None, kill_timeout: float) -> None:
        self._send([self._facts, timeout, kill_timeout, sorted(self._others)])

    def _top(self) -> int:
        """Return the process below which all is that a job starts. Never init, our parent if the supervisor has died:
        everything on the machine is below it. A worker with siblings adopts its orphans itself."""
        return self._supervisor if os.getppid() == self._supervisor and not self.worker else os.getpid()

    def _send(self, message: Any) -> None:
        self._end.write(json.dumps(message).encode() + b"\n")


class _End:
    """A child's end of a pipe. A job may have closed it, as daemons do with all descriptors: then its number may be
    another file. The supervisor keeps both ends open, under the same numbers."""

    def __init__(self, descriptor: int, flags: int) -> None:
        self._descriptor = descriptor
        self._flags = flags
        self._inode = os.fstat(descriptor).st_ino
        self._path = f"/proc/{os.getppid()}/fd/{descriptor}"

    def write(self, line: bytes) -> None:
        with suppress(OSError):
            os.write(self._opened(), line)

    def read(self) -> bytes:
        """Wait for a byte. END if the supervisor is gone."""
        with suppress(OSError):
            return os.read(self._opened(), 1) or END
        return END

    def _opened(self) -> int:
        if not self._is_open():
            self._descriptor = os.open(self._path, self._flags)
        return self._descriptor

    def _is_open(self) -> bool:
        with suppress(OSError):
            return os.fstat(self._descriptor).st_ino == self._inode
        return False


class Reports:
    """The supervisor's end of the pipe."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._rest = b""
        os.set_blocking(descriptor, False)

    def read(self) -> list[Any]:
        """Return what has arrived, without what a job may have written by mistake."""
        with suppress(BlockingIOError):
            while received := os.read(self.descriptor, 1 << 16):
                self._rest += received
        *lines, self._rest = self._rest.split(b"\n")
        return [message for line in lines for message in _decoded(line)]


def _decoded(line: bytes) -> list[Any]:
    with suppress(ValueError):
        return [json.loads(line)]
    return []
