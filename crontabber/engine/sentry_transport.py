"""Send an event to Sentry, without secrets, in one HTTP request that returns when the server has answered.

It replaces raven's own transport, which needs the ssl.wrap_socket that Python 3.12 removed, does not check the server's
certificate, follows redirects with the key, and may still be sending when the process ends.
"""

from collections.abc import Callable
from typing import Any

# Identifiers that the server files an event under; nothing in them comes from a job.
_NOT_TEXT = ("event_id", "platform", "project", "release", "sdk", "tags", "timestamp")


class Refused(Exception):
    """The server answered, but did not accept the event."""


class Transport:
    """A transport as raven's client expects it. `patience` is in seconds; the other options come from the DSN."""

    is_async = False

    def __init__(
        self, patience: float, timeout: str = "", verify_ssl: str = "1", ca_certs: str | None = None, **unknown: str
    ) -> None:
        self._timeout = min(float(timeout or patience), patience)
        self._verify = verify_ssl != "0"
        self._ca_certs = ca_certs

    def send(self, url: str, data: bytes, headers: dict[str, str]) -> None:
        from urllib.error import HTTPError
        from urllib.request import Request

        request = Request(url, data, headers)
        try:
            self._opener(url).open(request, timeout=self._timeout).close()
        except HTTPError as error:
            error.close()
            raise Refused(f"it answered {error.code} ({error.headers.get('X-Sentry-Error') or error.reason})") from None

    def _opener(self, url: str) -> Any:
        import ssl
        from urllib.request import HTTPRedirectHandler, HTTPSHandler, build_opener

        class NoRedirect(HTTPRedirectHandler):
            def redirect_request(self, *args: Any) -> None:
                return None

        if not url.startswith("https:"):
            return build_opener(NoRedirect)
        context = ssl.create_default_context(cafile=self._ca_certs)
        if not self._verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return build_opener(NoRedirect, HTTPSHandler(context=context))


def cleaned(event: dict[str, Any], clean: Callable[[str], str]) -> dict[str, Any]:
    """Return `event` with every text except the identifiers cleaned."""
    return {key: value if key in _NOT_TEXT else _cleaned(value, clean) for key, value in event.items()}


def _cleaned(value: Any, clean: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {key: _cleaned(each, clean) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_cleaned(each, clean) for each in value]
    # Any other object is sent as text.
    return value if value is None or isinstance(value, (int, float)) else clean(str(value))
