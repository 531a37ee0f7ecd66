"""Send HTTP requests one after another, in a thread of their own, so that no job waits for them."""

import threading
import time
from collections import deque
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

from crontabber.engine.errand import Errand, wait
from crontabber.engine.http import Refused, post
from crontabber.rules.text import one_line

# How long one request may take, and how long the end of a tick may wait for all that are left.
LETTER_SECONDS = 5.0
PATIENCE_SECONDS = 5.0
ATTEMPTS = 2
SECONDS_BETWEEN_ATTEMPTS = 0.5

# Imports the codec of host names here, not in the thread: a job may fork meanwhile, and its child would wait for ever
# for the end of an import.
"".encode("idna")


class Letter(NamedTuple):
    """A request; `about` says in words what it is, because its URL may be a secret."""

    about: str
    url: str
    body: bytes = b""
    headers: Mapping[str, str] = {"Content-Type": "text/plain; charset=utf-8"}
    verify: bool = True
    ca_certs: str | None = None


class Outbox:
    """Sends what it is given, in that order. A failure is said at WARNING, once and not before the end."""

    def __init__(self, logger: Any, patience: float = PATIENCE_SECONDS) -> None:
        self._logger = logger
        self._patience = patience
        self._letters: deque[Letter] = deque()
        self._failures: list[tuple[str, str]] = []
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._done.set()
        self._has_warned = False

    def send(self, letter: Letter) -> None:
        """Send it as soon as those before it are sent."""
        with self._lock:
            self._letters.append(letter)
            is_working = not self._done.is_set()
            self._done.clear()
        if not is_working:
            try:
                threading.Thread(target=self._work, name="crontabber-outbox", daemon=True).start()
            except RuntimeError:  # The system has no thread left.
                self._done.set()

    def finish(self) -> None:
        """Wait until all is sent, as long as there is patience left. Report the first failure."""
        started = time.monotonic()
        wait(self._done, self._patience)
        self._patience = max(0.0, self._patience - (time.monotonic() - started))
        with self._lock:
            failures = [*self._failures, *((letter.about, "no time was left") for letter in self._letters)]
            if not self._done.is_set() and not failures:
                failures = [("one", "it took too long")]
            self._letters.clear()
            self._failures.clear()
        for about, reason in failures:
            log = self._logger.debug if self._has_warned else self._logger.warning
            log("%s was not delivered: %s", about, reason)
            self._has_warned = True

    def _work(self) -> None:
        while (letter := self._next()) is not None:
            reason = _deliver(letter)
            if reason:
                with self._lock:
                    self._failures.append((letter.about, reason))

    def _next(self) -> Letter | None:
        with self._lock:
            if self._letters:
                return self._letters.popleft()
            self._done.set()
            return None


def _deliver(letter: Letter) -> str:
    """Send the letter, if need be twice. Return why it was not delivered, or ""."""
    deadline = time.monotonic() + LETTER_SECONDS
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(SECONDS_BETWEEN_ATTEMPTS)
        left = deadline - time.monotonic()
        if attempt and left <= 0:
            break
        errand = Errand(partial(_post, letter, left), lambda failure: failure)
        errand.wait_for(left)
        if errand.delivered:
            return ""
        if errand.failure is None or (isinstance(errand.failure, Refused) and not errand.failure.may_work_later):
            break
    return _reason(errand.failure)


def _post(letter: Letter, seconds: float) -> None:
    post(letter.url, letter.body, letter.headers, seconds, letter.verify, letter.ca_certs)


def _reason(failure: BaseException | None) -> str:
    """Say what happened, without anything that may quote the URL."""
    if failure is None or isinstance(failure, TimeoutError):
        return "it took too long"
    if isinstance(failure, Refused):
        return f"the server answered {failure.code}"
    cause = getattr(failure, "reason", None)
    return one_line(str(cause)) if isinstance(cause, OSError) else type(failure).__name__
