"""Takes secrets out of a text: those that are known, and what looks like one. Pure."""

import re
from collections.abc import Callable, Iterable, Mapping

MASK = "****"

# A shorter secret is masked as a whole word alone: "a" must not turn every text into asterisks.
SHORT = 6

# The patterns are texts, compiled when they are first used: most ticks have nothing to mask.
_SECRET_NAME = r"(?i)password|passwd|secret|token|api_?key|dsn"

# scheme://user:password@host: all up to the last @ of the host part, for a password may hold one.
_IN_URL = r"(?<=://)[^\s/]+(?=@)"

# password=x, 'password': 'x', password: x; of the others only the first two, for "unexpected token: }" is no secret.
_NAMED = (
    r"""(?i)((?:passw(?:or)?d\\*["']?\s*(?:=(?!=)|:)|(?:secret|token|api_?key|dsn)\\*(?:["']\s*:|["']?\s*=(?!=)))\s*)"""
    r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s,;&)]+)"""
)


def masker(secrets: Iterable[str]) -> Callable[[str], str]:
    """A function that takes `secrets` out of a text, however they are quoted there, and passwords by their look."""
    spellings = {spelling for secret in secrets if secret.strip() for spelling in _spellings(secret)}
    longest_first = sorted(spellings, key=lambda spelling: (-len(spelling), spelling))
    known = re.compile("|".join(map(_pattern, longest_first)) or r"(?!)")

    def mask(text: str) -> str:
        text = known.sub(MASK, text)
        text = re.sub(_IN_URL, MASK, text)
        return re.sub(_NAMED, rf"\g<1>{MASK}", text)

    return mask


def secrets_in(environment: Mapping[str, str]) -> list[str]:
    """The values of the variables whose names say that they are secret. PGPASSWORD's counts whatever it is; a short
    one of another name is more likely a switch."""
    return [
        value
        for name, value in environment.items()
        if name == "PGPASSWORD" or (re.search(_SECRET_NAME, name) and len(value) >= SHORT)
    ]


def _spellings(secret: str) -> set[str]:
    from urllib.parse import quote, quote_plus

    # The environment may hold bytes that are no text: "replace".
    quoted = {each(secret, safe="", errors="replace") for each in (quote, quote_plus)}
    return {secret, *quoted, repr(secret)[1:-1]}


def _pattern(secret: str) -> str:
    return re.escape(secret) if len(secret) >= SHORT else rf"(?<!\w){re.escape(secret)}(?!\w)"
