"""Mask secrets in texts that people will read: the known secrets, and whatever looks like one."""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

MASK = "****"

# A shorter secret is masked only if it is a password, and then only as a whole word: "a" must not turn every text into
# asterisks.
SHORT = 6

# The patterns are texts, compiled when they are first used: most ticks have nothing to mask.
_PASSWORD_NAME = r"(?i) passw(?:or)?d"
_SECRET_NAME = rf"{_PASSWORD_NAME} | secret | token | api_?key | dsn | ping_url"

# postgres://me:p@ss@db/x -> postgres://****@db/x: everything up to the last @, for a password may contain one.
_IN_URL = r"(?<= ://) [^\s/]+ (?= @)"

_VALUE = r"""( "(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*' | [^\s,;&)]+ )"""
# password=x, password: x, 'password': 'x' -> 'password': ****
_PASSWORD = rf"""(?i) ( passw(?:or)?d \\*["']?\s* (?: =(?!=) | : ) \s* ) {_VALUE}"""
# token=x, "api_key": "x" -> "api_key": ****; but "unexpected token: }" names no secret.
_TOKEN = rf"""(?i) ( (?:secret|token|api_?key|dsn) \\* (?: ["']\s*: | ["']?\s*=(?!=) ) \s* ) {_VALUE}"""


class SecretMask:
    """A function that masks every secret of `config` and of the environment in a text.

    It reads the configuration when it is first called: most ticks have nothing to mask.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = config

    def __call__(self, text: str) -> str:
        return self._mask(text)

    @cached_property
    def _mask(self) -> Callable[[str], str]:
        return mask_of(_options(self._config))


def mask_of(options: Iterable[tuple[str, str]] = ()) -> Callable[[str], str]:
    """Return a function that masks the values of those options whose names say that they are secret, the secrets of
    the environment, and what looks like a secret."""
    options = list(options)
    secrets = {value for name, value in options if _is_worth_masking(name, value)} | set(secrets_in(os.environ))
    # A password that is also the name of the user or of the database would make every line unreadable.
    return masker(secrets - {value for name, value in options if not is_secret(name)})


def masker(secrets: Iterable[str]) -> Callable[[str], str]:
    """Return a function that masks `secrets`, however they are quoted, and what looks like a secret."""
    spellings = {spelling for secret in secrets if secret.strip() for spelling in _spellings(secret)}
    longest_first = sorted(spellings, key=lambda spelling: (-len(spelling), spelling))
    known = re.compile("|".join(map(_pattern, longest_first)) or r"(?!)")

    def mask(text: str) -> str:
        text = known.sub(MASK, text)
        text = re.sub(_IN_URL, MASK, text, flags=re.VERBOSE)
        text = re.sub(_PASSWORD, rf"\g<1>{MASK}", text, flags=re.VERBOSE)
        return re.sub(_TOKEN, rf"\g<1>{MASK}", text, flags=re.VERBOSE)

    return mask


def secrets_in(environment: Mapping[str, str]) -> list[str]:
    """Return the values of the variables whose names say that they are secret.

    PGPASSWORD always counts; a short value of any other variable is more likely a switch.
    """
    return [
        value
        for name, value in environment.items()
        if name == "PGPASSWORD" or (is_secret(name) and len(value) >= SHORT)
    ]


def is_secret(name: str) -> bool:
    """True if the name of an option or a variable says that its value is secret."""
    return re.search(_SECRET_NAME, name, re.VERBOSE) is not None


def _is_worth_masking(name: str, value: str) -> bool:
    return is_secret(name) and (len(value) >= SHORT or re.search(_PASSWORD_NAME, name, re.VERBOSE) is not None)


def _options(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _options(value)
        elif isinstance(value, str):
            yield name, value


def _spellings(secret: str) -> set[str]:
    from urllib.parse import quote, quote_plus

    # "replace", because the environment may contain bytes that are not text.
    quoted = {each(secret, safe="", errors="replace") for each in (quote, quote_plus)}
    in_repr = repr(secret)[1:-1]
    return {secret, *quoted, in_repr, repr(in_repr)[1:-1]}


def _pattern(secret: str) -> str:
    return re.escape(secret) if len(secret) >= SHORT else rf"(?<!\w){re.escape(secret)}(?!\w)"
