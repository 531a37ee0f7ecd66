"""Run ticks in forked children that tell what they are running, and end those whose job takes too long.

A child does everything itself, as long as it can. Only if it does not end its job in time is it killed, with all that
the job has started. It survives its supervisor: then nobody ends its jobs.
"""

import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, NamedTuple

from crontabber.process.descendants import Process, descendants, kill_descendants, orphans_adopted
from crontabber.process.signals import INTERRUPTION, SAME_REQUEST_SECONDS, TIMEOUT_SIGNAL

# Of a job that ends its process, in one call of the command.
ATTEMPTS = 2
FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Run(NamedTuple):
    """A run that a child has reported. `facts` are for the child that follows if this one is killed; `timeout` and
    `kill_timeout` are seconds; `others` are the descendants of the supervisor that existed before the run."""

    facts: dict[str, Any]
    timeout: float | None
    kill_timeout: float
    others: frozenset[Process]


class Reporter:
    """The child's end of the pipe. Nothing that happens to the supervisor disturbs the child."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._others: set[Process] = set()

    def started(self, facts: dict[str, Any], timeout: timedelta | None, kill_timeout: timedelta) -> None:
        """Report that a job is about to start. Without a timeout, it may take as long as it likes."""
        self._others = descendants(os.getppid())
        INTERRUPTION.set_timeout(timeout)
        self._send([facts, timeout and timeout.total_seconds(), kill_timeout.total_seconds(), sorted(self._others)])

    def ended(self, timed_out: bool) -> None:
        """Report that the job has ended, before its result is stored. Kill what it leaves behind if it `timed_out`."""
        INTERRUPTION.set_timeout(None)
        self._send(None)
        if timed_out:
            kill_descendants(os.getppid(), but=self._others)


    def connected(self, connection: Any) -> None:
        """Report a connection to the database, which the server may keep after the child was killed."""
        self._send(connection.info.backend_pid)

    def _send(self, message: Any) -> None:
        with suppress(OSError):
            os.write(self._descriptor, json.dumps(message).encode() + b"\n")


Tick = Callable[[Reporter, dict[str, Any] | None], int]


def supervised(tick: Tick, say: Callable[[str], None]) -> int:
    """Run `tick` in children, one after another, until one ends by itself. Return its exit code.

    `tick` gets a reporter, and the facts of the run for whose timeout the child before it was killed, if any. In a
    child, this returns what `tick` returns: the caller has to end the process. `say` gets a sentence if a child dies.
    """
    supervisor = _Supervisor()
    timed_out: Run | None = None
    unfinished: list[str] = []
    with supervisor.listening(), orphans_adopted():
        while INTERRUPTION.signum is None:
            reader, writer = os.pipe()
            _flush()
            supervisor.child = os.fork()
            if not supervisor.child:
                _become_child(reader)
                return tick(Reporter(writer), timed_out and timed_out.facts)
            os.close(writer)
            code = supervisor.watch(reader)
            if code >= 0:
                return code
            timed_out = supervisor.run if supervisor.has_killed else None
            if timed_out is None:
                say(f"the process {supervisor.child}, which ran the jobs, was killed by {signal.Signals(-code).name}")
            # A job that ends its process is run once more, after all others.
            app_name = supervisor.run and supervisor.run.facts["app_name"]
            if app_name is None or unfinished.count(app_name) == ATTEMPTS - 1:
                return 128 - code
            unfinished.append(app_name)
    return 128 + INTERRUPTION.signum


class _Supervisor:
    """Watches one child after another."""

    def __init__(self) -> None:
        self.child = 0
        # What the child has reported last, and when it has to end.
        self.run: Run | None = None
        self.has_killed = False
        self._deadline = self._last_deadline = 0.0
        # The connections of the child: all, and those from before the run.
        self._backends: set[int] = set()
        self._lasting: set[int] = set()
        self._wakeup = -1
        self._first_request: float | None = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Pass signals on to the child, and wake up when it ends."""
        pid = os.getpid()
        self._wakeup, writer = os.pipe()
        os.set_blocking(writer, False)
        handlers = dict.fromkeys(FORWARDED, self._forward) | {signal.SIGCHLD: lambda *_: None}
        before = {signum: signal.getsignal(signum) for signum in handlers}
        wakeup_before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for signum, handler in handlers.items():
            if before[signum] is not signal.SIG_IGN:  # nohup
                signal.signal(signum, handler)
        try:
            yield
        finally:
            if os.getpid() == pid:
                signal.set_wakeup_fd(wakeup_before)
                for signum in handlers:
                    signal.signal(signum, before[signum])
            os.close(self._wakeup)
            os.close(writer)

    def watch(self, reader: int) -> int:
        """Wait for the end of the child, and kill it if it takes too long. Return its exit code, negative if a signal
        killed it."""
        self.run, self.has_killed, self._backends = None, False, set()
        lines = _Lines(reader)
        while True:
            self._wait(lines)
            ended, status = os.waitpid(self.child, os.WNOHANG)
            for message in lines.read():
                self._note(message)
            if ended:
                os.close(reader)
                return os.waitstatus_to_exitcode(status)
            self._enforce()

    def _wait(self, lines: "_Lines") -> None:
        """Wait for a message, a signal, or the next deadline."""
        left = max(0.0, self._deadline - time.monotonic()) if self._deadline else None
        descriptors = [self._wakeup] if lines.ended else [self._wakeup, lines.descriptor]
        if self._wakeup in select.select(descriptors, [], [], left)[0]:
            os.read(self._wakeup, 4096)

    def _note(self, message: Any) -> None:
        if isinstance(message, int):
            self._backends.add(message)
            return
        if message is None:
            self.run, self._deadline = None, 0.0
            self._backends &= self._lasting
            return
        facts, timeout, kill_timeout, others = message
        self.run = Run(facts, timeout, kill_timeout, frozenset(map(tuple, others)))
        self._lasting = set(self._backends)
        self._deadline = time.monotonic() + timeout if timeout else 0.0
        self._last_deadline = self._deadline + kill_timeout

    def _enforce(self) -> None:
        """Ask the child to end its job at the deadline, and kill it at the last one."""
        if self.run is None or not self._deadline or time.monotonic() < self._deadline:
            return
        if self._deadline < self._last_deadline:
            self._deadline = self._last_deadline
            os.kill(self.child, TIMEOUT_SIGNAL)
        else:
            self._deadline, self.has_killed = 0.0, True
            self.run.facts["backends"] = sorted(self._backends)
            self._kill()

    def _kill(self) -> None:
        for kill in (os.kill, os.killpg):
            with suppress(ProcessLookupError):
                kill(self.child, signal.SIGKILL)
        if self.run is not None:
            kill_descendants(os.getpid(), but=self.run.others)

    def _forward(self, signum: int, frame: Any) -> None:
        """Pass a signal on. A second request to end, unless it follows at once, is for a child that does not answer."""
        now = time.monotonic()
        if signum == signal.SIGHUP:
            INTERRUPTION.restart = True
        else:
            INTERRUPTION.signum = INTERRUPTION.signum or signum
            self._first_request = self._first_request or now
            if now - self._first_request > SAME_REQUEST_SECONDS:
                self._kill()
        with suppress(ProcessLookupError):
            os.kill(self.child, signum)


class _Lines:
    """The messages that arrive through a pipe."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.ended = False
        self._rest = b""
        os.set_blocking(descriptor, False)

    def read(self) -> list[Any]:
        """Return what has arrived."""
        with suppress(BlockingIOError):
            while received := os.read(self.descriptor, 1 << 16):
                self._rest += received
            self.ended = True
        *lines, self._rest = self._rest.split(b"\n")
        return [json.loads(line) for line in lines]


def _become_child(reader: int) -> None:
    """Undo what the supervisor has set up for itself; INTERRUPTION does the same for its own handlers."""
    os.setpgid(0, 0)
    os.close(reader)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def _flush() -> None:
    """Write out what is buffered: otherwise the child would write it again."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
