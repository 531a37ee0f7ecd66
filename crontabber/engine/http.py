"""Send one HTTP request that returns when the server has answered. Redirects are not followed: they would take the
secrets of the request to another server."""

from collections.abc import Mapping
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, HTTPSHandler, Request, build_opener


class Refused(Exception):
    """The server answered with an error. It `may_work_later` if it is the server's own, or it asks us to wait."""

    may_work_later = False


def post(
    url: str, data: bytes, headers: Mapping[str, str], seconds: float, verify: bool = True, ca_certs: str | None = None
) -> None:
    """Return if the server accepts the request. Refused if it does not; OSError, ValueError or HTTPException if there
    is no server or no HTTP. Each step of it may take `seconds`."""
    try:
        _opener(url, verify, ca_certs).open(Request(url, data, dict(headers)), timeout=seconds).close()
    except HTTPError as error:
        error.close()
        said = error.headers.get("X-Sentry-Error") or error.reason
        refused = Refused(f"it answered {error.code} ({said})")
        refused.may_work_later = error.code >= 500 or error.code == 429
        raise refused from None


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
