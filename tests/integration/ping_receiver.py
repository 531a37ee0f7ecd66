"""A monitoring service on the loopback that keeps the pings it gets, and answers as a SentryReceiver does."""

from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from tests.integration.sentry_receiver import SentryReceiver

# Part of the path of each URL.
SECRET = "5d0a7c1e-secret"


class Pinged(NamedTuple):
    """One request: the end of its path, after the name; its parameters; its body; who it says it is from."""

    name: str
    end: str
    parameters: dict[str, str]
    body: str
    authorization: str | None = None


class PingReceiver(SentryReceiver):
    """`url` is what the configuration needs."""

    def unpacked(self, path: str, headers: Any, body: bytes) -> Pinged:
        parts = urlsplit(path)
        empty, secret, name, *end = parts.path.split("/")
        assert (empty, secret) == ("", SECRET), path
        return Pinged(name, "/".join(end), dict(parse_qsl(parts.query)), body.decode(), headers["Authorization"])

    def url(self, name: str = "{app_name}") -> str:
        return f"http://127.0.0.1:{self.port}/{SECRET}/{name}"

    def ends(self, name: str) -> list[str]:
        """Return what has happened to a check, in the words of healthchecks: "" is a success."""
        return [each.end for each in self.received if each.name == name]

    def of(self, name: str) -> list[Pinged]:
        return [each for each in self.received if each.name == name]
