"""Sentry's new client, sentry_sdk, without its integrations, and with a transport of our own."""

from collections.abc import Callable
from typing import Any

from crontabber.engine.dsn import parse_dsn
from crontabber.engine.http import post
from crontabber.engine.sentry_event import cleaned
from crontabber.errors import SentryConfigurationError

try:
    import sentry_sdk
    from sentry_sdk.transport import Transport as BaseTransport
    from sentry_sdk.utils import event_from_exception
except ImportError as error:
    raise SentryConfigurationError(
        f"sentry.client=sentry_sdk needs another package: pip install sentry-sdk ({error})"
    ) from error


class Transport(BaseTransport):
    """Sends each envelope before it returns: the SDK's own would still be sending when the process ends."""

    def __init__(self, dsn: str, patience: float) -> None:
        super().__init__()
        self._dsn = parse_dsn(dsn)
        self._patience = patience

    def capture_envelope(self, envelope: Any) -> None:
        headers = self._dsn.headers(f"sentry.python/{sentry_sdk.VERSION}")
        post(self._dsn.url, envelope.serialize(), headers, self._patience, self._dsn.verify, self._dsn.ca_certs)


class Client:
    """Captures errors and messages. Its arguments and methods are those of sentry_raven.Client."""

    def __init__(
        self, dsn: str, release: str, app_name: str, clean: Callable[[str], str], patience: float, send_source: bool
    ) -> None:
        transport = Transport(dsn, patience)
        self._tags = {"app_name": app_name}
        # Not sentry_sdk.init, which would change the whole process.
        self._client = sentry_sdk.Client(
            # Without raven's options and schemes, which the SDK does not know.
            dsn=dsn.partition("?")[0].rpartition("+")[2],
            release=release,
            transport=transport,
            default_integrations=False,
            auto_enabling_integrations=False,
            # No list of names tells which local variables are secret, and their repr() would run code of the job.
            include_local_variables=False,
            include_source_context=send_source,
            before_send=lambda event, hint: cleaned(event, clean, send_source),
            max_value_length=None,
            max_breadcrumbs=0,
            auto_session_tracking=False,
            send_client_reports=False,
            enable_backpressure_handling=False,
            shutdown_timeout=0,
        )

    def capture_error(self, error: BaseException) -> Any:
        event, hint = event_from_exception(error, client_options=self._client.options)
        return self._capture(event, hint)

    def capture_message(self, text: str) -> Any:
        return self._capture({"message": text, "level": "info"}, {})

    def reference_of(self, captured: Any) -> str:
        return str(captured)

    def _capture(self, event: Any, hint: Any) -> str:
        reference = self._client.capture_event({**event, "tags": self._tags}, hint)
        if reference is None:
            raise ValueError("sentry_sdk did not make an event of it")
        return str(reference)
