"""Sentry's old client, raven, without what it does to the process, and with a transport of our own."""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import ModuleType
from typing import Any

from crontabber.engine.http import post
from crontabber.engine.sentry_event import cleaned


class Transport:
    """A transport as raven's client expects it. `patience` is in seconds; the other options come from the DSN.

    raven's own needs the ssl.wrap_socket that Python 3.12 removed, does not check the server's certificate, follows
    redirects with the key, and may still be sending when the process ends.
    """

    is_async = False

    def __init__(
        self, patience: float, timeout: str = "", verify_ssl: str = "1", ca_certs: str | None = None, **unknown: str
    ) -> None:
        self._timeout = min(float(timeout or patience), patience)
        self._verify = verify_ssl != "0"
        self._ca_certs = ca_certs

    def send(self, url: str, data: bytes, headers: dict[str, str]) -> None:
        post(url, data, headers, self._timeout, self._verify, self._ca_certs)


class Client:
    """Captures errors and messages. `clean` removes secrets from a text; sending takes at most `patience` seconds."""

    def __init__(
        self, raven: ModuleType, dsn: str, release: str, app_name: str, clean: Callable[[str], str], patience: float,
        send_source: bool,
    ) -> None:  # fmt: skip
        self._client = raven.Client(
            dsn=dsn,
            release=release,
            tags={"app_name": app_name},
            transport=partial(Transport, patience),
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
        # Change this client alone, not its class: test suites replace raven.Client with classes of their own.
        encode = getattr(self._client, "encode", None)
        if encode is not None:
            self._client.encode = lambda event: encode(cleaned(event, clean, send_source))

    def capture_error(self, error: BaseException) -> Any:
        return self._client.captureException((type(error), error, error.__traceback__))

    def capture_message(self, text: str) -> Any:
        return self._client.captureMessage(text)

    def reference_of(self, captured: Any) -> str:
        """Return the reference of what was captured. Not in a thread that we may have given up on: this warns."""
        return str(self._client.get_ident(captured))


class _ToDebug(logging.Handler):
    """Forwards what raven logs about itself to our log, at DEBUG."""

    def __init__(self, logger: Any, clean: Callable[[str], str]) -> None:
        super().__init__()
        self._logger = logger
        self._clean = clean

    def emit(self, record: logging.LogRecord) -> None:
        self._logger.debug("%s: %s", record.name, self._clean(record.getMessage()))


@contextmanager
def quiet(logger: Any, clean: Callable[[str], str]) -> Iterator[None]:
    """Keep the warnings and log records of the clients off stderr."""
    handler = _ToDebug(logger, clean)
    loggers = [logging.getLogger(name) for name in ("raven", "sentry.errors", "sentry_sdk")]
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
