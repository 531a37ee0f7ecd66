"""Takes the configuration's secrets out of texts that people will read."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

from crontabber.output.masking import masker, secrets_in


class SecretMask:
    """Called with a text, gives it back with each secret of `config` and of the environment masked. It looks at the
    configuration when it is first called: most ticks have nothing to say."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = config

    def __call__(self, text: str) -> str:
        return self._mask(text)

    @cached_property
    def _mask(self) -> Callable[[str], str]:
        return mask_of(_options(self._config))


def mask_of(options: Iterable[tuple[str, str]] = ()) -> Callable[[str], str]:
    """A function that masks in a text the values of those options that are secret by their names, the secrets of the
    environment, and what looks like a secret."""
    options = list(options)
    secrets = {value for name, value in options if is_secret(name)} | set(secrets_in(os.environ))
    # A password that is also the user's or the database's name is none, and would make every line unreadable.
    return masker(secrets - {value for name, value in options if not is_secret(name)})


def is_secret(option_name: str) -> bool:
    """Does the name of an option, without that of its section, say that its value is secret?"""
    return bool(secrets_in({option_name: "x" * 16}))


def _options(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _options(value)
        elif isinstance(value, str):
            yield name, value
