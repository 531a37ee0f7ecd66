"""Takes the configuration's secrets out of texts that people will read."""

import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

MASK = "****"
# Shorter ones would hit ordinary words, and are no secrets worth the name.
SHORTEST = 4


def is_secret(option_name: str) -> bool:
    """Does an option of this name hold a secret?"""
    name = option_name.lower()
    return "password" in name or "secret" in name or "token" in name or name == "dsn"


class SecretMask:
    """Called with a text, gives it back with each secret of `config` replaced. Looks at the configuration when it is
    first called: most ticks have nothing to say."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = config

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return text

    @cached_property
    def _secrets(self) -> list[str]:
        options = list(_options(self._config)) + [("password", os.environ.get("PGPASSWORD", ""))]
        secrets = {value for name, value in options if is_secret(name)}
        # A password that is also the user's or the database's name is none, and would make every line unreadable.
        public = {value for name, value in options if not is_secret(name)}
        return sorted((s for s in secrets - public if len(s) >= SHORTEST), key=len, reverse=True)


def _options(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _options(value)
        elif isinstance(value, str):
            yield name, value
