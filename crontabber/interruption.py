"""SIGINT, SIGTERM and SIGHUP: raised where a job runs, remembered where we store what it did."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from crontabber.errors import Interrupted


class Interruption:
    """What has been asked of this process by signals, and whether it may be interrupted just now."""

    def __init__(self) -> None:
        self.signum: int | None = None
        self.restart = False
        self._deferred = False

    @contextmanager
    def answered(self, cancel_statements: Callable[[], None]) -> Iterator[None]:
        """Within, the three signals are answered; only in the main thread, where Python allows it.

        `cancel_statements` ends the database calls that wait. A signal that is ignored (nohup) stays ignored.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self.signum = None
        handlers = {signal.SIGINT: self._interrupt, signal.SIGTERM: self._interrupt, signal.SIGHUP: self._restart}
        before = {signum: signal.getsignal(signum) for signum in handlers}
        for signum, handler in handlers.items():
            if before[signum] is not signal.SIG_IGN:
                signal.signal(signum, handler)
        try:
            with _watched(cancel_statements):
                yield
        finally:
            for signum, handler in before.items():
                signal.signal(signum, handler)

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

    def _raise_if_asked(self) -> None:
        if self.signum is not None:
            raise Interrupted(self.signum)

    def _interrupt(self, signum: int, frame: FrameType | None) -> None:
        # A second signal ends the process at once; the next tick finds out and says so.
        for again in (signal.SIGINT, signal.SIGTERM):
            signal.signal(again, signal.SIG_DFL)
        self.signum = signum
        if not self._deferred:
            raise Interrupted(signum)

    def _restart(self, signum: int, frame: FrameType | None) -> None:
        self.restart = True


@contextmanager
def _watched(cancel_statements: Callable[[], None]) -> Iterator[None]:
    """Python's handlers wait for the main thread, which may itself be waiting inside libpq: another thread learns of
    the signal through the wake-up descriptor, and has the server end the statement."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

    def watch() -> None:
        while received := os.read(reader, 1):
            if received[0] in (signal.SIGINT, signal.SIGTERM):
                cancel_statements()
        os.close(reader)

    threading.Thread(target=watch, name="crontabber-signals", daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(writer)


# Signals belong to the process; so does what has been asked by them.
INTERRUPTION = Interruption()
