"""SIGINT, SIGTERM and SIGHUP: raised as an exception while a job runs, deferred while we store its result."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import FrameType
from typing import Any

from crontabber.errors import Interrupted, JobTimeout
from crontabber.process.lookout import Patrol, lookout

END_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# Asks a job to end that takes too long. Few programs use this signal.
TIMEOUT_SIGNAL = signal.SIGXCPU
# A signal that follows another one so soon is the same request: `timeout` sends two.
SAME_REQUEST_SECONDS = 2.0


class Interruption:
    """What signals have asked this process to do, and whether it may be interrupted right now."""

    def __init__(self) -> None:
        self.signum: int | None = None
        self.restart = False
        self._taken_by: Callable[[BaseException], None] | None = None
        self._timeout: timedelta | None = None
        self._has_timed_out = False
        self._deadline: float | None = None
        self._deferred = False
        self._before: dict[int, Any] = {}
        self._is_looked_out = False
        self._is_ending = False
        # When the first request to end arrived, and when its handler ran: the main thread may be waiting in between.
        self._heard_at: float | None = None
        self._handled_at = 0.0
        os.register_at_fork(after_in_child=self._reset_in_child)

    @contextmanager
    def handled(self, patrol: Patrol) -> Iterator[None]:
        """Handle the three signals, deferred until `allowed`. Does nothing outside of the main thread.

        `patrol` is called as in `patrolled`. A signal that is ignored (nohup) stays ignored.
        """
        if not in_main_thread():
            yield
            return
        self.signum, self._heard_at, self._handled_at, self._deferred = None, None, 0.0, True
        self._is_ending = False
        handlers = {signal.SIGINT: self._interrupt, signal.SIGTERM: self._interrupt, signal.SIGHUP: self._restart}
        self._before = {signum: signal.getsignal(signum) for signum in handlers}
        for signum, handler in handlers.items():
            if self._before[signum] is not signal.SIG_IGN:
                signal.signal(signum, handler)
        try:
            with self.patrolled(patrol, with_signals=True):
                yield
        finally:
            self._restore_handlers()
            self._deferred = False

    @contextmanager
    def patrolled(self, patrol: Patrol, with_signals: bool = False) -> Iterator[None]:
        """Call `patrol` every few seconds from another thread, unless this is done already.

        Its argument says whether a signal has asked for the end, so that whatever the main thread waits for is urgent.
        """
        if self._is_looked_out:
            yield
            return
        self._is_looked_out = True
        try:
            with lookout(patrol, self._hears, self._is_urgent, with_signals):
                yield
        finally:
            self._is_looked_out = False

    @contextmanager
    def timeouts_handled(self) -> Iterator[None]:
        """Let TIMEOUT_SIGNAL raise JobTimeout after the deadline of a job."""
        before = signal.signal(TIMEOUT_SIGNAL, self._time_out)
        try:
            yield
        finally:
            signal.signal(TIMEOUT_SIGNAL, before)

    def set_timeout(self, timeout: timedelta | None) -> None:
        """Set the deadline of the job that is about to run; None if it has none, or has ended."""
        self._timeout, self._has_timed_out = timeout, False
        self._deadline = None if timeout is None else time.monotonic() + timeout.total_seconds()

    @property
    def is_handled(self) -> bool:
        """True inside of `handled`, in the main thread."""
        return bool(self._before)

    @property
    def is_late(self) -> bool:
        """True if a job is running beyond its deadline."""
        return self._deadline is not None and time.monotonic() >= self._deadline

    def note(self, error: KeyboardInterrupt) -> None:
        """Remember an interruption that arrived as an exception: a job may have installed Python's own handler.

        If the application handles signals itself and goes on, it is just an error of the job.
        """
        if self._before:
            self.signum = self.signum or getattr(error, "signum", signal.SIGINT)
            self._handled_at = self._handled_at or time.monotonic()

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Defer signals: one that arrives raises Interrupted at the end."""
        before, self._deferred = self._deferred, True
        try:
            yield
        finally:
            self._deferred = before
        if not before:
            self._raise_if_interrupted()

    @contextmanager
    def allowed(self) -> Iterator[None]:
        """Let signals raise Interrupted; one that arrived earlier raises it at once."""
        before, self._deferred = self._deferred, False
        try:
            self._raise_if_interrupted()
            yield
        finally:
            self._deferred = before

    @contextmanager
    def handed_to(self, take: Callable[[BaseException], None]) -> Iterator[None]:
        """Let signals call `take` with the error that they would raise."""
        before, self._taken_by = self._taken_by, take
        try:
            yield
        finally:
            self._taken_by = before

    def sleep(self, seconds: float) -> None:
        """Sleep, but let a signal raise Interrupted, even while signals are deferred."""
        with self.allowed():
            time.sleep(seconds)

    def _raise_if_interrupted(self) -> None:
        if self.signum is not None:
            raise Interrupted(self.signum)
        if self._has_timed_out and self._timeout is not None:
            self._has_timed_out = False  # The job may clean up.
            raise JobTimeout(self._timeout)

    def _is_urgent(self) -> bool:
        return self._is_ending or self.is_late

    def _hears(self, signum: int) -> None:
        """Hear of a signal when it arrives, in the thread of the lookout."""
        if signum in END_SIGNALS and signal.getsignal(signum) == self._interrupt:
            self._end_if_asked_again(signum, self._heard_at)
            self._heard_at = self._heard_at or time.monotonic()
        self._is_ending = self._is_ending or signum in END_SIGNALS

    def _interrupt(self, signum: int, frame: FrameType | None) -> None:
        if self.signum is not None:
            # The job may have closed the lookout's descriptor, or put its own in the place.
            self._end_if_asked_again(signum, None if self._heard_at else self._handled_at)
            return
        self.signum, self._handled_at = signum, time.monotonic()
        if not self._deferred:
            self._raise(Interrupted(signum))

    def _time_out(self, signum: int, frame: FrameType | None) -> None:
        # The job may have ended while the signal was on its way.
        if self._timeout is None or not self.is_late:
            return
        if self._deferred:
            self._has_timed_out = True
        else:
            self._raise(JobTimeout(self._timeout))

    def _raise(self, error: BaseException) -> None:
        if self._taken_by is None:
            raise error
        self._taken_by(error)

    def _end_if_asked_again(self, signum: int, first: float | None) -> None:
        """End the process at once, whatever it is doing. The next tick notices, and reports it."""
        if first is not None and time.monotonic() - first > SAME_REQUEST_SECONDS:
            os._exit(128 + signum)

    def _restart(self, signum: int, frame: FrameType | None) -> None:
        self.restart = True

    def _restore_handlers(self) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)
        self._before = {}

    def _reset_in_child(self) -> None:
        """Let a signal end a child that a job forked, as it would any process, without waking the parent's lookout."""
        self._is_looked_out = False
        if self._before:
            signal.set_wakeup_fd(-1)
            self._restore_handlers()


def in_main_thread() -> bool:
    """True in the only thread where Python lets us set signal handlers, and where it runs them."""
    return threading.current_thread() is threading.main_thread()


# Signals are sent to the process, so there is one of these per process.
INTERRUPTION = Interruption()
