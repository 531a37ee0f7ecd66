"""The command line and the check for unknown options, at a cost that grows with what was given, not with what there is.

Imported while configman.value_sources.for_getopt or configman.config_manager is.
"""

from __future__ import annotations

import getopt
import warnings

from configman.config_exceptions import NotAnOptionError
from configman.converters import boolean_converter
from configman.dotdict import DotDict
from configman.namespace import Namespace
from configman.option import Option

from crontabber.configman_compat.overlay import flattened

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


def get_values(self: Any, config_manager: Any, ignore_mismatches: bool, obj_hook: Any = DotDict) -> Any:
    """What the command line says. NotAnOptionError unless `ignore_mismatches`. A method of for_getopt's ValueSource."""
    definitions = config_manager.option_definitions
    short_options, long_options = self.getopt_create_opts(definitions)
    parse = self.getopt_with_ignore if ignore_mismatches else getopt.gnu_getopt
    try:
        switches, config_manager.args = parse(self.argv_source, short_options, long_options)
    except getopt.GetoptError as error:
        raise NotAnOptionError(str(error)) from error
    values = obj_hook()
    for switch, text in switches:
        long_form = switch[2:] if switch.startswith("--") else None
        name = long_form or self.find_name_with_short_form(switch[1:], definitions, "")
        if not name:
            raise NotAnOptionError(f"{switch[1:]} is not a valid short form option")
        option = config_manager._get_option(name)
        values[name] = not option.default if option.from_string_converter == boolean_converter else text
    if config_manager.args:
        for name, text in zip(self._get_arguments(definitions, values), config_manager.args, strict=False):
            values[name] = text
    return values


def long_options(argv: list[str], definitions: Any) -> list[str] | None:
    """Those that something in `argv` may mean, as getopt wants them; None if it has short forms too."""
    if any(word.startswith("-") and not word.startswith("--") for word in argv):
        return None
    beginnings = tuple({word[2:].partition("=")[0] for word in argv if word.startswith("--")})
    return list(_matching(definitions, "", beginnings)) if beginnings else []


def _matching(namespace: Any, prefix: str, beginnings: tuple[str, ...]) -> Iterator[str]:
    for key, value in Namespace.items(namespace):
        if isinstance(value, Option):
            name = f"{prefix}{value.name}"
            if name.startswith(beginnings):
                yield name if type(value.default) is bool else f"{name}="
        elif isinstance(value, Namespace):
            below = f"{prefix}{key}."
            if below.startswith(beginnings) or any(beginning.startswith(below) for beginning in beginnings):
                yield from _matching(value, below, beginnings)


def check_for_mismatches(self: Any, known_keys: set[str]) -> None:
    """Warn of what the sources have and nobody asked for; with --admin.strict it is an error. A method of
    ConfigurationManager."""
    lines = "".join(f"{key}\n" for key in known_keys)
    for source in self.values_source_list:
        if getattr(source, "always_ignore_mismatches", False):
            continue
        allowed = not hasattr(source, "command_line_value_source")
        unknown = unknown_keys(source.get_values(self, allowed, self.value_source_object_hook), known_keys)
        # The end of a known name may have been acquired.
        unknown = {key for key in unknown if f"{key}\n" not in lines}
        if not unknown:
            continue
        if not self.option_definitions.admin.strict.default:
            warnings.warn(f"Invalid options: {', '.join(sorted(unknown))}", stacklevel=2)
        elif len(unknown) > 1:
            raise NotAnOptionError(f"{unknown} are not valid Options")
        else:
            raise NotAnOptionError(f"{unknown.pop()} is not a valid Option")


def unknown_keys(values: Any, known_keys: set[str]) -> set[str]:
    """The dotted names of what a source has and nobody asked for."""
    flat = flattened(values) or flattened(DotDict(values)) or {}
    return {key for key, value in flat.items() if not isinstance(value, DotDict)}.difference(known_keys)
