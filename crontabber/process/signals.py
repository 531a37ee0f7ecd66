"""SIGINT, SIGTERM and SIGHUP: raised as an exception while a job runs, deferred while we store its result."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from crontabber.errors import Interrupted

END_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# Seconds between attempts to cancel waiting statements after a request to end. Storing a result takes less, unless
# somebody holds a lock.
CANCEL_EVERY = 0.4


class Interruption:
    """What signals have asked this process to do, and whether it may be interrupted right now."""

    def __init__(self) -> None:
        self.signum: int | None = None
        self.restart = False
        self._deferred = False
        self._before: dict[int, Any] = {}
        os.register_at_fork(after_in_child=self._reset_in_child)

    @contextmanager
    def handled(self, cancel_statements: Callable[[], None]) -> Iterator[None]:
        """Handle the three signals, deferred until `allowed`. Does nothing outside of the main thread.

        `cancel_statements` cancels database calls that are waiting. A signal that is ignored (nohup) stays ignored.
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
            with _watcher(cancel_statements):
                yield
        finally:
            self._restore_handlers()
            self._deferred = False

    def note(self, error: KeyboardInterrupt) -> None:
        """Remember an interruption that arrived as an exception: a job may have installed Python's own handler.

        If the application handles signals itself and goes on, it is just an error of the job.
        """
        if self._before:
            self.signum = self.signum or getattr(error, "signum", signal.SIGINT)

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

    def sleep(self, seconds: float) -> None:
        """Sleep, but let a signal raise Interrupted, even while signals are deferred."""
        with self.allowed():
            time.sleep(seconds)

    def _raise_if_interrupted(self) -> None:
        if self.signum is not None:
            raise Interrupted(self.signum)

    def _interrupt(self, signum: int, frame: FrameType | None) -> None:
        # A second signal ends the process at once. The next tick notices, and reports it.
        for again in END_SIGNALS:
            signal.signal(again, signal.SIG_DFL)
        self.signum = signum
        if not self._deferred:
            raise Interrupted(signum)

    def _restart(self, signum: int, frame: FrameType | None) -> None:
        self.restart = True

    def _restore_handlers(self) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)
        self._before = {}

    def _reset_in_child(self) -> None:
        """Let a signal end a child that a job forked, as it would any process, without waking the parent's watcher."""
        if self._before:
            signal.set_wakeup_fd(-1)
            self._restore_handlers()


def in_main_thread() -> bool:
    """True in the only thread where Python lets us set signal handlers, and where it runs them."""
    return threading.current_thread() is threading.main_thread()


@contextmanager
def _watcher(cancel_statements: Callable[[], None]) -> Iterator[None]:
    """Run a thread that cancels the database's statements when a signal requests the end.

    Python runs handlers in the main thread, which may be waiting inside libpq. The watcher learns of the signal through
    the wake-up descriptor.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    over = threading.Event()

    def watch() -> None:
        # A job may have closed all descriptors it found.
        with suppress(OSError):
            while received := os.read(reader, 1):
                if received[0] in END_SIGNALS:
                    cancel_statements()
                    # The statements that follow may wait, too.
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


# Signals are sent to the process, so there is one of these per process.
INTERRUPTION = Interruption()
