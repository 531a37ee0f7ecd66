"""Walk through the definitions of options, and write an option's value as text."""

from collections.abc import Mapping
from types import BuiltinMethodType, MethodType
from typing import Any

from configman.dotdict import DotDict
from configman.namespace import Namespace
from configman.option import Option

# Values of these types are not mappings, have no requirements and cannot be closed.
PLAIN_TYPES = frozenset((type(None), str, bytes, int, float, bool, list, tuple))


def members(mapping: DotDict) -> list[tuple[str, Any]]:
    """Return the members of a DotDict or Namespace, even if one of them is called `items`.

    Their own items() looks up each key from the top, which takes ten times as long.
    """
    held = vars(mapping)
    return [(key, held[key]) for key in held["_key_order"].map]


def options_in(definitions: Namespace) -> dict[str, Option]:
    """Return each option by its dotted name, those of a namespace before those of its inner namespaces."""
    return named(Option, definitions)


def named(kind: type[Any], definitions: Namespace) -> dict[str, Any]:
    """Return all members of a kind, Option or Aggregation, by their dotted names."""
    found: dict[str, Any] = {}
    _collect(kind, definitions, "", found)
    return found


def copied(option: Option) -> Option:
    """Return a copy of an option. Its own copy() takes five times as long, and is needed only where it adds something:
    a missing converter, or the value of a default that was set later."""
    if (option.value is None and option.default is not None) or not callable(option.from_string_converter):
        return option.copy()
    copy = object.__new__(Option)
    vars(copy).update(vars(option))
    return copy


def flattened(values: Any, prefix: str = "") -> dict[str, Any] | None:
    """Return all members by their dotted names, or None if one of the mappings may look up its keys in its own way."""
    if type(values) is not DotDict:
        return None
    flat: dict[str, Any] = {}
    for key, value in members(values):
        flat[prefix + key] = value
        if isinstance(value, Mapping):
            below = flattened(value, f"{prefix}{key}.")
            if below is None:
                return None
            flat.update(below)
    return flat


def text_of(option: Option) -> str:
    """Return an option's value as text for a file. configman would write `None.now` for `datetime.datetime.now`."""
    method = option.value
    if isinstance(method, (BuiltinMethodType, MethodType)) and isinstance(method.__self__, type):
        return f"{method.__self__.__module__}.{method.__qualname__}"
    return str(option)


def _collect(kind: type[Any], namespace: Namespace, prefix: str, found: dict[str, Any]) -> None:
    below = []
    for key, value in members(namespace):
        if isinstance(value, kind):
            found[prefix + key] = value
        elif isinstance(value, Namespace):
            below.append((f"{prefix}{key}.", value))
    for prefix_below, namespace_below in below:
        _collect(kind, namespace_below, prefix_below, found)
