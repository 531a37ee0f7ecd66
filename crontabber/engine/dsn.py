"""The DSN of a Sentry: its address, with a key."""

import re
from typing import Any, NamedTuple

from crontabber.errors import SentryConfigurationError

# Not compiled here: every tick imports this.
_DSN = (
    r"(?ai)(?:\w+\+)?(?P<scheme>https?)://(?P<key>[^\s:/@?#]+)(?::(?P<secret>[^\s/@?#]*))?"
    r"@(?P<host>\[[0-9a-f:.]+\]|[^\s:/@?#]+)(?P<port>:\d{1,5})?(?P<path>(?:/[^\s/?#]+)*)/(?P<project>[^\s/?#]+)"
    r"(?:\?(?P<options>[^\s#]*))?"
)

# With spaces, or it would be masked as a secret itself.
NO_DSN = "sentry.dsn is not a valid DSN: write https://KEY @ HOST/PROJECT without spaces"


class Dsn(NamedTuple):
    """`url` is that of the envelopes. `verify_ssl` and `ca_certs` are options of raven's."""

    host: str
    url: str
    key: str
    secret: str | None
    verify: bool
    ca_certs: str | None

    def headers(self, client: str) -> dict[str, str]:
        """Return the headers of an envelope that `client`, NAME/VERSION, sends."""
        secret = f", sentry_secret={self.secret}" if self.secret else ""
        auth = f"Sentry sentry_version=7, sentry_client={client}, sentry_key={self.key}{secret}"
        return {"Content-Type": "application/x-sentry-envelope", "X-Sentry-Auth": auth, "User-Agent": client}


def parse_dsn(text: str) -> Dsn:
    """Parse a DSN. SentryConfigurationError if it is not one."""
    match = re.fullmatch(_DSN, text)
    if match is None or not text.isascii():
        raise SentryConfigurationError(NO_DSN)
    from urllib.parse import parse_qs

    options = {name: values[-1] for name, values in parse_qs(match["options"] or "").items()}
    server = f"{match['scheme'].lower()}://{match['host']}{match['port'] or ''}{match['path']}"
    return Dsn(
        match["host"], f"{server}/api/{match['project']}/envelope/", match["key"], match["secret"],
        options.get("verify_ssl") != "0", options.get("ca_certs"),
    )  # fmt: skip


def dsn_in(config: Any) -> str:
    """Return the DSN of a configuration, or an empty text; `sentry.dsn` wins over `secrets.sentry.dsn`."""
    places = (config.get("sentry"), (config.get("secrets") or {}).get("sentry"))
    return next((str(options["dsn"]).strip() for options in places if options and options.get("dsn")), "")
