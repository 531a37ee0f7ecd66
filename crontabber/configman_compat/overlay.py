"""From sources and definitions to values: configman's algorithm with each option looked up once a pass.

configman's own is quadratic in the number of options in two places, looks up each option from the top at each of its
steps, and asks every source for every option by its dotted name. Imported while configman.config_manager is, when
everything beneath it is there.
"""

from __future__ import annotations

from collections.abc import Mapping

from configman.config_exceptions import CannotConvertError
from configman.dotdict import DotDict
from configman.namespace import Namespace
from configman.option import Aggregation, Option
from configman.required_config import RequiredConfig

from crontabber.configman_compat.containers import PLAIN_TYPES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Find = Callable[[str, Any], Any]

MISSING = object()
# What a class inherits it requires each time that it is asked: asked once is enough.
COLLECT_FROM_CLASSES = RequiredConfig.get_required_config.__func__


def overlay_expand(self: Any) -> set[str]:
    """Give every option its value from the last source that has one, bring in the options that a value requires, and
    again, until there are no new ones; the dotted names of all. A method of ConfigurationManager.

    configman's own looks at an option again when a second class requires it, which can only do harm: what was changed
    by a source counts as unchanged then, and is lost from a dumped file; a switch on the command line is turned back.
    """
    definitions = self.option_definitions
    finished: set[str] = set()
    requirements_of_class: dict[Any, Any] = {}
    finds: dict[int, tuple[Any, Find]] = {}
    while True:
        existing: dict[str, Option] = {}
        _collect_options(definitions, "", existing)
        new = {key: option for key, option in existing.items() if key not in finished}
        new = _make_shared_options(new, existing, definitions) | new
        sources = [source.get_values(self, True, self.value_source_object_hook) for source in self.values_source_list]
        if not new:
            return finished
        finished.update(new)
        _overlay(new, [_find(values, finds) for values in sources], definitions)
        for key, option in new.items():
            option.set_value(option.default)
            if type(option.value) not in PLAIN_TYPES:
                requirements = _requirements(key, option.value, requirements_of_class)
                if requirements is not None:
                    _bring_in(key, option, requirements, definitions)


def _make_shared_options(new: dict[str, Option], existing: dict[str, Option], definitions: Any) -> dict[str, Option]:
    """Make what options refer to by reference_value_from and what is not there yet, each like the last that does so."""
    missing: dict[str, Option] = {}
    for option in new.values():
        if option.reference_value_from:
            name = f"{option.reference_value_from}.{option.name}"
            if name not in existing:
                missing[name] = option
    for name, option in missing.items():
        shared = option.copy()
        shared.reference_value_from, shared.name = None, name
        definitions.add_option(shared)
        for end, character in enumerate(name):
            if character == ".":
                definitions[name[:end]].ref_value_namespace()
    return {name: definitions[name] for name in missing}


def _collect_options(namespace: Any, prefix: str, found: dict[str, Option]) -> None:
    """Each option by its dotted name, those of a namespace before those further down."""
    below = []
    for key, value in Namespace.items(namespace):
        if isinstance(value, Option):
            found[prefix + key] = value
        elif isinstance(value, DotDict):
            below.append((f"{prefix}{key}.", value))
    for prefix_below, namespace_below in below:
        _collect_options(namespace_below, prefix_below, found)


def _find(values: Any, known: dict[int, tuple[Any, Find]]) -> Find:
    """A function that finds the value for a dotted name in a source, or gives back its second argument."""
    if id(values) in known:
        return known[id(values)][1]
    flat = flattened(values)

    def look_up(key: str, missing: Any) -> Any:
        try:
            return values[key]
        except KeyError:
            return missing

    find: Find = look_up if flat is None else flat.get
    known[id(values)] = values, find
    return find


def flattened(values: Any, prefix: str = "") -> dict[str, Any] | None:
    """Everything by its dotted name; None for mappings that may have their own way to look up."""
    if type(values) is not DotDict:
        return None
    flat: dict[str, Any] = {}
    for key, value in DotDict.items(values):
        flat[prefix + key] = value
        if isinstance(value, Mapping):
            below = flattened(value, f"{prefix}{key}.")
            if below is None:
                return None
            flat.update(below)
    return flat


def _overlay(new: dict[str, Option], finds: list[Find], definitions: Any) -> None:
    """Replace the defaults of the new options by what they refer to, and by what sources have."""
    for key, option in new.items():
        if option.reference_value_from:
            shared = f"{option.reference_value_from}.{key.rpartition('.')[2]}"
            option.default = (new[shared] if shared in new else definitions[shared]).default
        for find in finds:
            value = find(key, MISSING)
            if value is not MISSING:
                option.default = _as_text(value, option.from_string_converter)


def _as_text(value: Any, converter: Any) -> Any:
    """An ini file makes a list of a text with a comma and no quotes. Our own converters, which configman passed over
    then, get the text; those of jobs may have come to live with a list."""
    if type(value) is not list or not all(isinstance(item, str) for item in value):
        return value
    return ", ".join(value) if (getattr(converter, "__module__", None) or "").startswith("crontabber.") else value


def _requirements(key: str, value: Any, known: dict[Any, Any]) -> Any:
    """The options that a value requires, as a namespace, or None."""
    if isinstance(value, type) and value in known:
        return known[value]
    if isinstance(value, DotDict):
        raise CannotConvertError(f"'{key}' is an option with one value, but a source has a section of this name")
    try:
        requirements = value.get_required_config()
    except (AttributeError, KeyError):
        requirements = getattr(value, "required_config", None)
    if not isinstance(requirements, Mapping):
        requirements = None
    elif not isinstance(requirements, Namespace):
        requirements = Namespace(initializer=requirements)
    if getattr(getattr(value, "get_required_config", None), "__func__", None) is COLLECT_FROM_CLASSES:
        known[value] = requirements
    return requirements


def _bring_in(key: str, option: Option, requirements: Any, definitions: Any) -> None:
    """Add what is not yet there to the namespace of the option."""
    parent = key.rpartition(".")[0]
    namespace = definitions[parent] if parent else definitions
    if not namespace._reference_value_from:  # that one is filled by what refers to it
        _copy_missing(requirements, namespace, option.reference_value_from)


def _copy_missing(source: Any, target: Any, reference_value_from: str | None) -> None:
    below = []
    for key, value in Namespace.items(source):
        if not isinstance(value, (Option, Aggregation)):
            below.append((key, value))
        elif key not in vars(target) and not hasattr(type(target), key):
            target[key] = _copied(value, reference_value_from)
    for key, value in below:
        inner = target[key] if key in target else type(target)()
        if isinstance(inner, Namespace):
            _copy_missing(value, inner, None)
            if len(inner) and key not in target:
                target[key] = inner


def _copied(value: Any, reference_value_from: str | None) -> Any:
    if isinstance(value, Aggregation):
        return Aggregation(value.name, value.function)
    copy = value.copy()
    if not copy.reference_value_from:
        copy.reference_value_from = reference_value_from
    return copy
