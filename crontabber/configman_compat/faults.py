"""What configman 1.3.0 does wrong, put right."""

from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any


def keep_acquisition_alive(dotdict: ModuleType) -> None:
    """`config['a.b.c']` looks for c in the nearest of a.b, a and config.

    configman puts an empty mapping in place of each missing level and ties them together by weak references, so that
    from two missing levels on the first is gone before it is asked. An empty mapping adds nothing: pass over the level.
    """
    dotdict.DotDictWithAcquisition.__getitem__ = _acquire


def _acquire(self: Any, key: str) -> Any:
    *levels, name = key.split(".")
    current = self
    for level in levels:
        try:
            current = getattr(current, level)
        except KeyError:
            pass
    return getattr(current, name)


COVERS: Mapping[str, Sequence[Callable[[ModuleType], None]]] = {
    "configman.dotdict": [keep_acquisition_alive],
}
