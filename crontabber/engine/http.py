"""Send one HTTP request that returns when the server has answered. Redirects are not followed: they would take the
secrets of the request to another server."""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.error import HTTPError
from urllib.parse import unquote_to_bytes, urlsplit, urlunsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, Request, build_opener


class Refused(Exception):
    """The server answered with an error."""

    def __init__(self, code: int, said: str) -> None:
        super().__init__(f"it answered {code} ({said})")
        self.code = code

    @property
    def may_work_later(self) -> bool:
        """True if the error is the server's own, or the server asks us to wait."""
        return self.code >= 500 or self.code == 429


def post(
    url: str, data: bytes, headers: Mapping[str, str], seconds: float, verify: bool = True, ca_certs: str | None = None
) -> None:
    """Return if the server accepts the request. Refused if it does not; OSError, ValueError or HTTPException if there
    is no server or no HTTP. Each step of it may take `seconds`."""
    try:
        _opener(url, verify, ca_certs).open(_request(url, data, headers), timeout=seconds).close()
    except HTTPError as error:
        error.close()
        raise Refused(error.code, error.headers.get("X-Sentry-Error") or error.reason) from None


def _request(url: str, data: bytes, headers: Mapping[str, str]) -> Request:
    """Put `user:password@` of the URL into a header: urllib takes it for a part of the host's name, which it would ask
    the DNS for."""
    parts = urlsplit(url)
    credentials, _, host = parts.netloc.rpartition("@")
    request = Request(urlunsplit(parts._replace(netloc=host)), data, dict(headers))
    if credentials:
        user, _, password = credentials.partition(":")
        secret = b64encode(unquote_to_bytes(f"{user}:{password}")).decode()
        request.add_header("Authorization", f"Basic {secret}")
    return request


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *args: Any) -> None:
        return None


def _opener(url: str, verify: bool, ca_certs: str | None) -> Any:
    if not url.startswith("https:"):
        return build_opener(_NoRedirect)
    import ssl

    context = ssl.create_default_context(cafile=ca_certs)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return build_opener(_NoRedirect, HTTPSHandler(context=context))
