"""Run ticks in forked children that tell what they are running, and end those whose job takes too long.

A child does everything itself, as long as it can. Only if it does not end its job in time is it killed, with all that
the job has started. It survives its supervisor: then nobody ends its jobs.

Of several workers, the first starts alone. Others start, or go on, when one of them reports that there is more to run.
"""

import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from crontabber.process.child import Child
from crontabber.process.descendants import Process, adopt_orphans, descendants, kill_descendants, orphans_adopted
from crontabber.process.forking import child_ends_here
from crontabber.process.lookout import Patrol
from crontabber.process.reports import END, LOOK, REPORT, Reporter
from crontabber.process.signals import INTERRUPTION, SAME_REQUEST_SECONDS

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# poll() takes milliseconds, and not many.
LONGEST_WAIT_SECONDS = 3600.0

Work = Callable[[Reporter, list[dict[str, Any]]], None]


def supervised(work: Work, patrol: Patrol, logger: Any, once: bool = False, workers: int = 1) -> int:
    """Run `work` in up to `workers` children until all have ended by themselves. Return their exit code.

    `work` gets a reporter, and the facts of each run that was killed at its timeout. Signals are handled there, with
    `patrol`, and deferred. A job that ends its process gets a second attempt, but not with `once`.
    """
    supervisor = _Supervisor(work, patrol, logger, once, workers)
    with supervisor.listening(), orphans_adopted():
        return supervisor.run()


class _Supervisor:
    """Runs children, and watches them."""

    def __init__(self, work: Work, patrol: Patrol, logger: Any, once: bool, workers: int) -> None:
        self._work = work
        self._patrol = patrol
        self._logger = logger
        self._once = once
        self._workers = workers
        # By process id.
        self._children: dict[int, Child] = {}
        self._exit_codes: list[int] = []
        # The facts of the runs that were killed, and the jobs that have ended their process.
        self._killed: list[dict[str, Any]] = []
        self._died: list[str] = []
        # What jobs have left, whose workers have ended.
        self._leftovers: set[Process] = set()
        self._wakeup = -1
        self._first_request: float | None = None

    def run(self) -> int:
        self._start()
        while self._children:
            self._wait()
            for child in list(self._children.values()):
                self._attend(child)
            self._end_if_all_are_idle()
        return max(self._exit_codes, key=_severity, default=128 + (INTERRUPTION.signum or 0))

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Pass signals on to the children, and wake up when one ends."""
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

    def _start(self) -> None:
        """Start a child, unless a signal has asked for the end."""
        if INTERRUPTION.signum is not None:
            return
        numbers = {child.number for child in self._children.values()}
        child = Child(next(number for number in range(1, self._workers + 1) if number not in numbers))
        _flush()
        # None may reach the child before it handles them, nor be passed on before there is one.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)
        with child_ends_here():
            child.pid = os.fork()
            if not child.pid:
                self._be_child(child, mask)
        self._children[child.pid] = child
        if INTERRUPTION.signum is not None:  # It arrived a moment ago.
            os.kill(child.pid, INTERRUPTION.signum)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def _be_child(self, child: Child, mask: set[Any]) -> None:
        os.setpgid(0, 0)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for sibling in self._children.values():
            sibling.close()
        if self._workers > 1:
            adopt_orphans()
        with INTERRUPTION.handled(self._patrol), INTERRUPTION.timeouts_handled():
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            self._work(child.reporter(has_siblings=self._workers > 1), self._killed)

    def _wait(self) -> None:
        """Wait for a message, a signal, or the next deadline."""
        deadlines = [child.deadline for child in self._children.values() if child.deadline]
        left = max(0.0, min(deadlines) - time.monotonic()) if deadlines else LONGEST_WAIT_SECONDS
        poll = select.poll()
        for descriptor in (self._wakeup, *(child.reports.descriptor for child in self._children.values())):
            poll.register(descriptor, select.POLLIN)
        ready = poll.poll(1000 * min(left, LONGEST_WAIT_SECONDS))
        if any(descriptor == self._wakeup for descriptor, _ in ready):
            os.read(self._wakeup, 4096)

    def _attend(self, child: Child) -> None:
        # Until it is waited for, no other process can get its process id.
        ended = os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        number_ready = child.hear()
        if ended:
            del self._children[child.pid]
            child.close()
            self._after(child, os.waitstatus_to_exitcode(os.waitpid(child.pid, 0)[1]))
        elif child.is_too_late():
            self._kill(child)
        self._invite(number_ready)

    def _after(self, child: Child, code: int) -> None:
        """Draw the consequences of the end of a child: a negative `code` is the signal that killed it."""
        run = child.run
        exit_code = code if code >= 0 else 128 - code
        if INTERRUPTION.signum is not None or (run is None and code >= 0):
            self._exit_codes.append(exit_code)
            if self._children:
                self._leftovers |= descendants(os.getpid(), without=self._children)
            return
        if run is not None and child.has_killed:
            self._killed.append(run.facts)
            self._start()
            return
        if run is not None:
            kill_descendants(os.getpid(), run.others | self._leftovers, without=self._children)
        # A death that interrupts a job is mailed by the process that finds its claim.
        app_name = run and run.facts["app_name"]
        log = self._logger.info if app_name else self._logger.error
        log("the process %d, which ran %s, %s", child.pid, app_name or "the jobs", _end(code))
        if app_name is None or self._once or app_name in self._died:
            self._exit_codes.append(exit_code or 1)
        else:
            self._died.append(app_name)
            self._start()

    def _invite(self, number: int) -> None:
        """Have others run so many jobs."""
        idle = [child for child in self._children.values() if child.is_idle][:number]
        for child in idle:
            child.say(LOOK)
        for _ in range(min(number - len(idle), self._workers - len(self._children))):
            if not INTERRUPTION.restart:
                self._start()

    def _end_if_all_are_idle(self) -> None:
        """End the children if none of them runs a job: then nothing can become ready. One of them says what is left."""
        if all(child.is_idle for child in self._children.values()):
            for number, child in enumerate(self._children.values()):
                child.say(REPORT if number == 0 else END)

    def _kill(self, child: Child) -> None:
        child.has_killed = True
        for kill in (os.kill, os.killpg):
            with suppress(ProcessLookupError):
                kill(child.pid, signal.SIGKILL)
        if child.run is not None:
            siblings = [pid for pid in self._children if pid != child.pid]
            kill_descendants(os.getpid(), child.run.others | self._leftovers, without=siblings)

    def _forward(self, signum: int, frame: Any) -> None:
        """Pass a signal on. A second request to end, unless it follows at once, is for a child that does not answer."""
        now = time.monotonic()
        if signum == signal.SIGHUP:
            INTERRUPTION.restart = True
        else:
            INTERRUPTION.signum = INTERRUPTION.signum or signum
            self._first_request = self._first_request or now
        for child in list(self._children.values()):
            if self._first_request and now - self._first_request > SAME_REQUEST_SECONDS:
                self._kill(child)
            os.kill(child.pid, signum)
            child.say(LOOK)


def _severity(exit_code: int) -> tuple[bool, bool, int]:
    """Order exit codes: a signal, a failure, and what others have to do with it."""
    return exit_code >= 128, exit_code == 1, exit_code


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
