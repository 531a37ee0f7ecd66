"""SIGINT, SIGTERM and SIGHUP: raised where a job runs, remembered where we store what it did."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from crontabber.errors import Interrupted

ASKED_TO_END = (signal.SIGINT, signal.SIGTERM)
# Seconds from one time that the waiting database calls are ended to the next, once we have been asked to end: storing
# what has happened takes less, unless somebody's lock is in the way.
CANCEL_EVERY = 0.4


class Interruption:
    """What has been asked of this process by signals, and whether it may be interrupted just now."""

    def __init__(self) -> None:
        self.signum: int | None = None
        self.restart = False
        self._deferred = False
        self._before: dict[int, Any] = {}
        os.register_at_fork(after_in_child=self._be_nobodys)

    @contextmanager
    def answered(self, cancel_statements: Callable[[], None]) -> Iterator[None]:
        """Within, the three signals are answered; only in the main thread, where Python allows it. They are deferred
        up to `allowed`.

        `cancel_statements` ends the database calls that wait. A signal that is ignored (nohup) stays ignored.
        """
        if not in_main_thread():
            yield
            return
        self.signum, self._deferred = None, True
        handlers = {signal.SIGINT: self._interrupt, signal.SIGTERM: self._interrupt, signal.SIGHUP: self._restart}
        self._before = {signum: signal.getsignal(signum) for signum in handlers}
        for signum, handler in handlers.items():
            if self._before[signum] is not signal.SIG_IGN:
                signal.signal(signum, handler)
        try:
            with _watched(cancel_statements):
                yield
        finally:
            self._answer_no_more()
            self._deferred = False

    def note(self, error: KeyboardInterrupt) -> None:
        """Remember an interruption that came as an exception, also where no handler is installed."""
        self.signum = self.signum or getattr(error, "signum", signal.SIGINT)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Within, signals are remembered alone; one that came meanwhile raises Interrupted at the end."""
        before, self._deferred = self._deferred, True
        try:
            yield
        finally:
            self._deferred = before
        if not before:
            self._raise_if_asked()

    @contextmanager
    def allowed(self) -> Iterator[None]:
        """Within, a signal raises Interrupted; one that came before does so at once."""
        before, self._deferred = self._deferred, False
        try:
            self._raise_if_asked()
            yield
        finally:
            self._deferred = before

    def sleep(self, seconds: float) -> None:
        """Also where signals are deferred, one ends the wait: Interrupted."""
        with self.allowed():
            time.sleep(seconds)

    def _raise_if_asked(self) -> None:
        if self.signum is not None:
            raise Interrupted(self.signum)

    def _interrupt(self, signum: int, frame: FrameType | None) -> None:
        # A second signal ends the process at once; the next tick finds out and says so.
        for again in ASKED_TO_END:
            signal.signal(again, signal.SIG_DFL)
        self.signum = signum
        if not self._deferred:
            raise Interrupted(signum)

    def _restart(self, signum: int, frame: FrameType | None) -> None:
        self.restart = True

    def _answer_no_more(self) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)
        self._before = {}

    def _be_nobodys(self) -> None:
        """A child that a job forks ends by a signal as any process does, and the watcher hears nothing of it."""
        if self._before:
            signal.set_wakeup_fd(-1)
            self._answer_no_more()


def in_main_thread() -> bool:
    """True in the only thread where Python allows signal handlers and runs them."""
    return threading.current_thread() is threading.main_thread()


@contextmanager
def _watched(cancel_statements: Callable[[], None]) -> Iterator[None]:
    """Python's handlers wait for the main thread, which may itself be waiting inside libpq: another thread learns of
    the signal through the wake-up descriptor, and has the server end the statement."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    over = threading.Event()

    def watch() -> None:
        # A job may have closed all descriptors that it found.
        with suppress(OSError):
            while received := os.read(reader, 1):
                if received[0] in ASKED_TO_END:
                    cancel_statements()
                    # What comes after may wait, too.
                    while not over.wait(CANCEL_EVERY):
                        cancel_statements()
            os.close(reader)

    threading.Thread(target=watch, name="crontabber-signals", daemon=True).start()
    try:
        yield
    finally:
        over.set()
        signal.set_wakeup_fd(before)
        with suppress(OSError):
            os.close(writer)


# Signals belong to the process; so does what has been asked by them.
INTERRUPTION = Interruption()
