"""Run ticks in forked children that tell what they are running, and end those whose job takes too long.

A child does everything itself, as long as it can. Only if it does not end its job in time is it killed, with all that
the job has started. It survives its supervisor: then nobody ends its jobs.
"""

import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from crontabber.process.descendants import Process, kill_descendants, orphans_adopted
from crontabber.process.forking import child_ends_here
from crontabber.process.lookout import Patrol
from crontabber.process.reports import Reporter, Reports
from crontabber.process.signals import INTERRUPTION, SAME_REQUEST_SECONDS, TIMEOUT_SIGNAL

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# poll() takes milliseconds, and not many.
LONGEST_WAIT_SECONDS = 3600.0


class Run(NamedTuple):
    """A run that a child has reported. `facts` are for the child that follows if this one is killed; `timeout` and
    `kill_timeout` are seconds; `others` are the descendants of the supervisor that existed before the run."""

    facts: dict[str, Any]
    timeout: float | None
    kill_timeout: float
    others: frozenset[Process]


Work = Callable[[Reporter, list[dict[str, Any]]], None]


def supervised(work: Work, patrol: Patrol, logger: Any, once: bool = False) -> int:
    """Run `work` in children, one after another, until one ends by itself. Return its exit code.

    `work` gets a reporter, and the facts of each run that was killed at its timeout. Signals are handled there, with
    `patrol`, and deferred. A job that ends its process gets a second attempt, but not with `once`.
    """
    supervisor = _Supervisor(patrol)
    killed: list[dict[str, Any]] = []
    died: list[str] = []
    with supervisor.listening(), orphans_adopted():
        while INTERRUPTION.signum is None:
            code = supervisor.run_child(work, killed)
            run = supervisor.run
            if INTERRUPTION.signum is not None or (run is None and code >= 0):
                return code if code >= 0 else 128 - code
            if run is not None and supervisor.has_killed:
                killed.append(run.facts)
                continue
            app_name = run and run.facts["app_name"]
            if run is not None:
                kill_descendants(os.getpid(), but=run.others)
            # A death that interrupts a job is mailed by the process that finds its claim.
            log = logger.info if app_name else logger.error
            log("the process %d, which ran %s, %s", supervisor.child, app_name or "the jobs", _end(code))
            if app_name is None or once or app_name in died:
                return 128 - code if code < 0 else code or 1
            died.append(app_name)
    return 128 + INTERRUPTION.signum


class _Supervisor:
    """Runs one child after another, and watches it."""

    def __init__(self, patrol: Patrol) -> None:
        self.child = 0
        # What the child has reported last, and when it has to end.
        self.run: Run | None = None
        self.has_killed = False
        self._patrol = patrol
        self._is_child_there = False
        self._deadline = self._last_deadline = 0.0
        # The connections of the child: all, and those from before the run.
        self._backends: list[list[Any]] = []
        self._lasting = 0
        self._wakeup = -1
        self._first_request: float | None = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Pass signals on to the child, and wake up when it ends."""
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
            signal.set_wakeup_fd(wakeup_before)
            for signum in handlers:
                signal.signal(signum, before[signum])
            os.close(self._wakeup)
            os.close(writer)

    def run_child(self, work: Work, killed: list[dict[str, Any]]) -> int:
        """Run a child to its end, and kill it if it takes too long. Return its exit code, negative if a signal killed
        it."""
        self.run, self.has_killed, self._deadline, self._backends = None, False, 0.0, []
        reader, writer = os.pipe()
        _flush()
        # None may reach the child before it handles them, nor be passed on before there is one.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)
        with child_ends_here():
            self.child = os.fork()
            if not self.child:
                os.close(reader)
                self._be_child(work, killed, Reporter(writer), mask)
        self._is_child_there = True
        if INTERRUPTION.signum is not None:  # It arrived a moment ago.
            os.kill(self.child, INTERRUPTION.signum)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        try:
            return self._watch(Reports(reader))
        finally:
            os.close(reader)
            os.close(writer)

    def _be_child(self, work: Work, killed: list[dict[str, Any]], reporter: Reporter, mask: set[Any]) -> None:
        os.setpgid(0, 0)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        with INTERRUPTION.handled(self._patrol), INTERRUPTION.timeouts_handled():
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            work(reporter, killed)

    def _watch(self, reports: Reports) -> int:
        while True:
            self._wait(reports)
            # Until it is waited for, no other process can get its process id.
            ended = os.waitid(os.P_PID, self.child, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            for message in reports.read():
                self._note(message)
            if ended:
                self._is_child_there = False
                return os.waitstatus_to_exitcode(os.waitpid(self.child, 0)[1])
            self._enforce()

    def _wait(self, reports: Reports) -> None:
        """Wait for a message, a signal, or the next deadline."""
        left = max(0.0, self._deadline - time.monotonic()) if self._deadline else LONGEST_WAIT_SECONDS
        poll = select.poll()
        for descriptor in (self._wakeup, reports.descriptor):
            poll.register(descriptor, select.POLLIN)
        ready = poll.poll(1000 * min(left, LONGEST_WAIT_SECONDS))
        if any(descriptor == self._wakeup for descriptor, _ in ready):
            os.read(self._wakeup, 4096)

    def _note(self, message: Any) -> None:
        match message:
            case [_, _, int()]:
                self._backends.append(message)
            case [facts, timeout, kill_timeout, others]:
                self.run = Run(facts, timeout, kill_timeout, frozenset(map(tuple, others)))
                self._lasting = len(self._backends)
                self._deadline = time.monotonic() + timeout if timeout else 0.0
                self._last_deadline = self._deadline + kill_timeout
            case None:
                self.run, self._deadline = None, 0.0
                del self._backends[self._lasting :]

    def _enforce(self) -> None:
        """Ask the child to end its job at the deadline, and kill it at the last one."""
        if self.run is None or not self._deadline or time.monotonic() < self._deadline:
            return
        if self._deadline < self._last_deadline:
            self._deadline = self._last_deadline
            os.kill(self.child, TIMEOUT_SIGNAL)
        else:
            self._deadline, self.has_killed = 0.0, True
            self.run.facts["backends"] = self._backends
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
        if not self._is_child_there:
            return
        if self._first_request and now - self._first_request > SAME_REQUEST_SECONDS:
            self._kill()
        os.kill(self.child, signum)


def _end(code: int) -> str:
    """Say how a process ended: signals of the user's own have no name."""
    if code >= 0:
        return f"ended with exit code {code}"
    names = {signum.value: signum.name for signum in signal.Signals}
    return f"was killed by {names.get(-code, f'signal {-code}')}"


def _flush() -> None:
    """Write out what is buffered: otherwise the child would write it again."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
