"""Do something in a thread, so that we can stop waiting for it: a DNS lookup accepts no time limit."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from crontabber.process.signals import INTERRUPTION
from crontabber.rules.text import one_line

# How long we wait after a signal, and how often we check for one.
SECONDS_AFTER_SIGNAL = 0.4
POLL_SECONDS = 0.05


class Errand(threading.Thread):
    """Runs `act`. `explain` turns a failure into the exception that is kept."""

    def __init__(self, act: Callable[[], Any], explain: Callable[[BaseException], BaseException]) -> None:
        super().__init__(name="crontabber-errand", daemon=True)
        self._act = act
        self._explain = explain
        self._done = threading.Event()
        self.delivered = False
        self.result: Any = None
        self.failure: BaseException | None = None

    def run(self) -> None:
        # BaseException: code of the job runs here, and Python prints what a thread raises on stderr.
        with suppress(BaseException):
            try:
                self.result = self._act()
                self.delivered = True
            except BaseException as failure:
                self.failure = self._explain(failure)
        self._done.set()

    def wait_for(self, seconds: float) -> None:
        """Start it, and wait until it is done, for at most `seconds`, and only briefly after a signal."""
        try:
            self.start()
        except RuntimeError as failure:  # The system has no thread left.
            self.failure = self._explain(failure)
            return
        wait(self._done, seconds)

    def reason(self) -> str:
        """Return why it was not delivered, on one line."""
        if self.failure is None:
            return "it took too long"
        return one_line(f"{type(self.failure).__name__}: {self.failure}")


def wait(done: threading.Event, seconds: float) -> None:
    """Wait for at most `seconds`, and only briefly after a signal."""
    deadline = time.monotonic() + seconds
    while not done.wait(POLL_SECONDS) and time.monotonic() < deadline:
        if INTERRUPTION.signum is not None:
            deadline = min(deadline, time.monotonic() + SECONDS_AFTER_SIGNAL)
