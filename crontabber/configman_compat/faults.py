"""Fix the one fault of configman 1.3.0 that users' own code runs into."""

from __future__ import annotations

from types import ModuleType

TYPE_CHECKING = False  # as in typing, which takes 4 ms to import
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def look_up_dotted_keys(dotdict: ModuleType) -> None:
    """Let `config['a.b.c']` acquire `c` no matter how many of the levels `a` and `b` are missing.

    configman replaces each missing level with an empty mapping that has a weak reference to the level above. If two
    levels are missing, the first mapping is gone before the second needs it: ReferenceError. An empty mapping adds
    nothing, so a missing level can be skipped.
    """

    def __getitem__(self: Any, key: str) -> Any:
        *levels, name = key.split(".")
        current = self
        for level in levels:
            try:  # noqa: SIM105  # suppress() takes three times as long
                current = getattr(current, level)
            except KeyError:
                pass
        return getattr(current, name)

    dotdict.DotDictWithAcquisition.__getitem__ = __getitem__


REPAIRS: tuple[tuple[str, Callable[[ModuleType], None]], ...] = (("configman.dotdict", look_up_dotted_keys),)
