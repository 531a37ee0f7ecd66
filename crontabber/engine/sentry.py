"""Send errors to Sentry. Only this module knows raven, and whether a DSN is configured.

Whatever Sentry, raven or the error do, the tick goes on within a few seconds and nothing appears on stderr.
"""

import logging
import os
import re
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from types import ModuleType
from typing import Any

from crontabber.engine.failure import harmless_copy
from crontabber.engine.sentry_transport import Transport, cleaned
from crontabber.errors import SentryConfigurationError, SentryDeliveryError
from crontabber.output.secrets import SecretMask, masker, secrets_in
from crontabber.process.signals import INTERRUPTION
from crontabber.rules.text import both_ends, one_line
from crontabber.store.rows import storable

# How long all reports of one process together may delay its jobs. The first USUAL_SECONDS of a delivered report do not
# count: many failing jobs are no reason to give up on a Sentry that works.
PATIENCE_SECONDS = 5.0
USUAL_SECONDS = 0.5
# How long we wait after a signal, and how often we check for one.
SECONDS_AFTER_SIGNAL = 0.4
POLL_SECONDS = 0.05

# Characters kept of a text, half of them from each end.
CHARACTERS = 8 * 1024

_DSN = (
    r"(?ai)(?:\w+\+)?https?://[^\s:/@?#]+(?::[^\s/@?#]*)?@(?P<host>\[[0-9a-f:.]+\]|[^\s:/@?#]+)"
    r"(?::\d{1,5})?(?:/[^\s/?#]+)*/[^\s/?#]+(?:\?[^\s#]*)?"
)

# With spaces, or it would be masked as a secret itself.
NO_DSN = "sentry.dsn is not a valid DSN: write https://KEY @ HOST/PROJECT without spaces"

TEST_MESSAGE = "crontabber was asked to test its connection to Sentry"

Clean = Callable[[str], str]


class Sentry:
    """Reports errors. `load_raven` is called when there is something to send, because importing raven takes as long as
    a whole tick; `mask` removes the configuration's secrets from a text."""

    def __init__(
        self, dsn: str | None, release: str, load_raven: Callable[[], ModuleType], logger: Any,
        mask: Callable[[str], str] = str, patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._dsn = (dsn or "").strip()
        self._release = release
        self._load_raven = load_raven
        self._logger = logger
        self._mask = mask
        self._patience = patience  # fmt: skip

    @classmethod
    def configured(cls, config: Any, release: str, load_raven: Callable[[], ModuleType]) -> "Sentry":
        """Create one from the options in `config`; `sentry.dsn` wins over `secrets.sentry.dsn`."""
        places = (config.get("sentry"), (config.get("secrets") or {}).get("sentry"))
        dsn = next((str(options["dsn"]) for options in places if options and options.get("dsn")), None)
        return cls(dsn, release, load_raven, config.logger, SecretMask(config))

    def report(self, error: BaseException, app_name: str) -> None:
        """Send what the job `app_name` raised, and log the reference. Raises nothing but Interrupted."""
        if not self._dsn or self._patience <= 0:
            return
        try:
            reference = self._send(app_name, lambda client, clean: _capture_error(client, error, clean))
        except SentryConfigurationError as fault:
            self._patience = 0
            self._logger.warning("%s; errors are not sent to Sentry", fault)
            self._logger.debug("Failed to capture and send error to Sentry", exc_info=True)
        except Exception:
            self._logger.debug("Failed to capture and send error to Sentry", exc_info=True)
        else:
            self._logger.info(f"Error captured in Sentry. Reference: {reference}")

    def send_test(self) -> str:
        """Send a test message, log its identifier and return it.

        SentryConfigurationError without a usable DSN, SentryDeliveryError if it cannot be delivered.
        """
        if not self._dsn:
            raise SentryConfigurationError("cannot test Sentry: sentry.dsn is not set")
        identifier = self._send("sentrytest", lambda client, clean: client.captureMessage(TEST_MESSAGE))
        self._logger.info("Sentry successful identifier: %s", identifier)
        return identifier

    def _send(self, app_name: str, capture: Callable[[Any, Clean], Any]) -> str:
        """Have `capture` send something through a client. Return its reference. Errors as in `send_test`, without
        secrets."""
        clean = self._cleaner()

        def act() -> tuple[Any, Any]:
            client = self._client(app_name, clean)
            return client, capture(client, clean)

        errand = _Errand(act, lambda failure: harmless_copy(failure, clean))
        started = time.monotonic()
        with _quiet_raven(self._logger, clean):
            errand.wait_for(self._patience)
            seconds = time.monotonic() - started
            self._use_patience(seconds - USUAL_SECONDS if errand.delivered else seconds)
            if errand.delivered:
                # Not in the errand's thread: this warns, and a thread we gave up on would warn when nothing catches it.
                client, captured = errand.result
                return str(client.get_ident(captured))
        dsn = re.fullmatch(_DSN, self._dsn)
        if dsn is None or not self._dsn.isascii():
            raise SentryConfigurationError(NO_DSN) from None
        said = f"Sentry at {dsn['host']} did not accept the report: {errand.reason()}"
        raise SentryDeliveryError(said) from errand.failure

    def _client(self, app_name: str, clean: Clean) -> Any:
        client = self._load_raven().Client(
            dsn=self._dsn,
            release=self._release,
            tags={"app_name": app_name},
            transport=partial(Transport, self._patience),
            raise_send_errors=True,
            # Otherwise raven changes the whole process.
            install_sys_hook=False,
            install_logging_hook=False,
            hook_libraries=(),
            enable_breadcrumbs=False,
            # No list of names tells which local variables are secret, and their repr() would run code of the job.
            capture_locals=False,
            processors=("raven.processors.RemoveStackLocalsProcessor", "raven.processors.SanitizePasswordsProcessor"),
            # The default is sys.argv, passwords included.
            context={},
        )
        _clean_before_encoding(client, clean)
        return client

    def _cleaner(self) -> Clean:
        keys = re.split("[:/]+", self._dsn.rpartition("@")[0])[1:]
        mask = masker([self._dsn, *keys, *secrets_in(os.environ)])

        def clean(text: str) -> str:
            # Shorten to much more than is kept, mask, then shorten again: so half a secret never remains.
            text = both_ends(text, 8 * CHARACTERS)
            return both_ends(storable(mask(self._mask(text))), CHARACTERS)

        return clean

    def _use_patience(self, seconds: float) -> None:
        self._patience -= max(seconds, 0)
        if self._patience <= 0:
            self._logger.warning("Sentry has delayed the jobs for too long: no more errors are sent to it in this run")


def _capture_error(client: Any, error: BaseException, clean: Clean) -> Any:
    copy = harmless_copy(error, clean)
    return client.captureException((type(copy), copy, copy.__traceback__))


def _clean_before_encoding(client: Any, clean: Clean) -> None:
    """Change `client` alone, not its class: test suites replace raven.Client with classes of their own."""
    encode = getattr(client, "encode", None)
    if encode is not None:
        client.encode = lambda event: encode(cleaned(event, clean))


class _Errand(threading.Thread):
    """Runs `act` in a thread, so that we can stop waiting for it: a DNS lookup or the str() of a job's error accepts no
    time limit. `explain` turns a failure into the exception that is kept."""

    def __init__(self, act: Callable[[], Any], explain: Callable[[BaseException], BaseException]) -> None:
        super().__init__(name="crontabber-sentry", daemon=True)
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
        """Wait until it is done, for at most `seconds`, and only briefly after a signal."""
        try:
            self.start()
        except RuntimeError as failure:  # The system has no thread left.
            self.failure = self._explain(failure)
            return
        deadline = time.monotonic() + seconds
        while not self._done.wait(POLL_SECONDS) and time.monotonic() < deadline:
            if INTERRUPTION.signum is not None:
                deadline = min(deadline, time.monotonic() + SECONDS_AFTER_SIGNAL)

    def reason(self) -> str:
        """Return why it was not delivered, on one line."""
        if self.failure is None:
            return "it took too long"
        return one_line(f"{type(self.failure).__name__}: {self.failure}")


class _ToDebug(logging.Handler):
    """Forwards what raven logs about itself to our log, at DEBUG."""

    def __init__(self, logger: Any, clean: Clean) -> None:
        super().__init__()
        self._logger = logger
        self._clean = clean

    def emit(self, record: logging.LogRecord) -> None:
        self._logger.debug("%s: %s", record.name, self._clean(record.getMessage()))


@contextmanager
def _quiet_raven(logger: Any, clean: Clean) -> Iterator[None]:
    """Keep raven's warnings and log records off stderr."""
    handler = _ToDebug(logger, clean)
    loggers = [logging.getLogger(name) for name in ("raven", "sentry.errors")]
    propagated = [each.propagate for each in loggers]
    for each in loggers:
        each.addHandler(handler)
        each.propagate = False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for each, propagate in zip(loggers, propagated, strict=True):
            each.removeHandler(handler)
            each.propagate = propagate
