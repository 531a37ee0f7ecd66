"""Compute values from definitions and sources: configman's algorithm, but each option is looked up once per round.

configman's own is quadratic in the number of options in two places, looks up each option from the top in each of its
steps, and asks every source for every option by its dotted name.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any

from configman.config_exceptions import CannotConvertError
from configman.converters import class_converter, to_str
from configman.dotdict import DotDict
from configman.environment import environment
from configman.namespace import Namespace
from configman.option import Aggregation, Option
from configman.required_config import RequiredConfig

from crontabber.config.definitions import PLAIN_TYPES, copied, flattened, members, options_in
from crontabber.config.policy_options import declare, policy_names
from crontabber.connection_factory import OPTIONS

Find = Callable[[str, Any], Any]

MISSING = object()
# A class inherits this method and always requires the same: asking once is enough.
COLLECT_FROM_CLASSES = RequiredConfig.get_required_config.__func__


def overlay(manager: Any) -> set[str]:
    """Give every option of a manager its value, bring in the options that a value requires, and repeat until there are
    no new ones. Return the dotted names of all. CannotConvertError and whatever a converter raises.

    configman's own algorithm looks at an option again when a second class requires it, which can only do harm: a value
    from a source then counts as unchanged and is missing from a dumped file; a switch on the command line is undone.
    """
    definitions = manager.option_definitions
    finished: set[str] = set()
    requirements_of_class: dict[Any, Any] = {}
    finds: dict[int, tuple[Any, Find]] = {}
    classes: dict[str, Any] = {}
    policies = policy_names(manager)
    while True:
        declare(policies, definitions)
        existing = options_in(definitions)
        new = {key: option for key, option in existing.items() if key not in finished}
        new = _make_shared_options(new, existing, definitions) | new
        sources = [
            (source.get_values(manager, True, manager.value_source_object_hook), _is_environment(source))
            for source in manager.values_source_list
        ]
        if not new:
            return finished
        finished.update(new)
        _overlay(new, [_find(*source, finds) for source in sources], definitions)
        for key, option in new.items():
            try:
                _convert(option, classes)
            except (Exception, SystemExit) as error:
                manager.go_on_without(key, option, error)
            if type(option.value) not in PLAIN_TYPES:
                requirements = _requirements(key, option.value, requirements_of_class)
                if requirements is not None:
                    _bring_in(key, option, requirements, definitions)


def _make_shared_options(new: dict[str, Option], existing: dict[str, Option], definitions: Any) -> dict[str, Option]:
    """Create the missing options that others refer to by reference_value_from, each like the last one that does."""
    missing: dict[str, Option] = {}
    for option in new.values():
        if option.reference_value_from:
            name = f"{option.reference_value_from}.{option.name}"
            if name not in existing:
                missing[name] = option
    for name, option in missing.items():
        shared = copied(option)
        shared.reference_value_from, shared.name = None, name
        definitions.add_option(shared)
        for end, character in enumerate(name):
            if character == ".":
                definitions[name[:end]].ref_value_namespace()
    return {name: definitions[name] for name in missing}


def _is_environment(source: Any) -> bool:
    return any(getattr(source, "source", None) is each for each in (os.environ, environment))


def _find(values: Any, acquires: bool, known: dict[int, tuple[Any, Find]]) -> Find:
    """Return a function that finds the value for a dotted name in a source, or returns its second argument."""
    if id(values) in known:
        return known[id(values)][1]
    flat = flattened(values)
    def look_up(key: str, missing: Any) -> Any:
        try:
            return values[key]
        except (KeyError, AttributeError):  # the latter if a part of the key names a value that is not a mapping
            return missing

    find: Find = look_up if flat is None else _acquiring(flat) if acquires else flat.get
    known[id(values)] = values, find
    return find


def _acquiring(flat: dict[str, Any]) -> Find:
    """Return a function that also finds what is set in an outer namespace: `crontabber.host`, or `host` alone,
    is the host of every job's database. Only options of the connection are found without any namespace: names such as
    `jobs` belong to other programs.
    """
    names = {key.rpartition(".")[2] for key in flat if "." in key} | (flat.keys() & OPTIONS)

    def find(key: str, missing: Any) -> Any:
        value = flat.get(key, missing)
        *namespaces, name = key.split(".")
        while value is missing and namespaces and name in names:
            namespaces.pop()
            if namespaces or name in OPTIONS:
                value = flat.get(".".join([*namespaces, name]), missing)
        return value

    return find


def _overlay(new: dict[str, Option], finds: list[Find], definitions: Any) -> None:
    """Replace the defaults of the new options with the values that they refer to, then with those of the sources."""
    for key, option in new.items():
        if option.reference_value_from:
            shared = f"{option.reference_value_from}.{key.rpartition('.')[2]}"
            option.default = (new[shared] if shared in new else definitions[shared]).default
        for find in finds:
            value = find(key, MISSING)
            if value is not MISSING:
                option.default = _as_text(value, option.from_string_converter)


def _as_text(value: Any, converter: Any) -> Any:
    """An ini file turns an unquoted text with a comma into a list, and configman does not convert lists. Our own
    converters get the text again; converters of jobs may rely on the list."""
    if type(value) is not list or not all(isinstance(item, str) for item in value):
        return value
    return ", ".join(value) if (getattr(converter, "__module__", None) or "").startswith("crontabber.") else value


def _convert(option: Option, classes: dict[str, Any]) -> None:
    """Convert the default of an option to its value. When the name of a class becomes that class, this is no change: it
    would be dumped as if somebody had set it, and override the shared option that this one refers to."""
    defined = option.value
    if option.from_string_converter is class_converter and isinstance(option.default, str):
        if option.default not in classes:
            classes[option.default] = class_converter(option.default)
        option.set_value(classes[option.default])
    else:
        option.set_value(option.default)
    if option.has_changed and isinstance(defined, str) and to_str(option.value) == defined:
        option.has_changed = False


def _requirements(key: str, value: Any, known: dict[Any, Any]) -> Any:
    """Return the options that a value requires, as a namespace, or None."""
    if isinstance(value, type) and value in known:
        return known[value]
    if isinstance(value, DotDict):
        raise CannotConvertError(f"{key} is an option, but it is set as a section: write one value, name = value")
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
    """Add the required options that are missing to the namespace of the option."""
    parent = key.rpartition(".")[0]
    namespace = definitions[parent] if parent else definitions
    if not namespace._reference_value_from:  # otherwise the options that refer to it fill it
        _copy_missing(requirements, namespace, option.reference_value_from)


def _copy_missing(source: Any, target: Any, reference_value_from: str | None) -> None:
    below, held = [], vars(target)
    for key, value in members(source):
        if not isinstance(value, (Option, Aggregation)):
            below.append((key, value))
        elif key not in held and not hasattr(type(target), key):
            held[key] = _copied(value, reference_value_from)
            held["_key_order"].add(key)
    for key, value in below:
        inner = target[key] if key in target else type(target)()
        if isinstance(inner, Namespace):
            _copy_missing(value, inner, None)
            if len(inner) and key not in target:
                target[key] = inner


def _copied(value: Any, reference_value_from: str | None) -> Any:
    if isinstance(value, Aggregation):
        return Aggregation(value.name, value.function)
    copy = copied(value)
    if not copy.reference_value_from:
        copy.reference_value_from = reference_value_from
    return copy
