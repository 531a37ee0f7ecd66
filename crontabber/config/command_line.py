"""Read the command line: before there is a configuration, and as one of its sources."""

import getopt
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from configman.config_exceptions import NotAnOptionError
from configman.converters import boolean_converter
from configman.dotdict import DotDict
from configman.namespace import Namespace
from configman.option import Option
from configman.value_sources import for_getopt

from crontabber.config.definitions import members, options_in
from crontabber.errors import ConfigurationError


def asks_for(arguments: Sequence[str], mode: str, short_form: str = "") -> bool:
    """True if the command line asks for `mode`, by its name, any beginning of it, or its short form."""
    for argument in arguments:
        if argument == "--":
            return False
        if short_form and argument == f"-{short_form}":
            return True
        name = argument.partition("=")[0]
        if len(name) > 2 and f"--{mode}".startswith(name):
            return True
    return False


def option_given(arguments: Sequence[str], option: str) -> str | None:
    """Return the text that the command line gives an option, also if it shortens the last part of its name. The last
    occurrence counts; None if there is none."""
    shortest, given = option.rpartition(".")[0] + ".", None
    for index, argument in enumerate(arguments):
        if argument == "--":
            break
        name, equals, text = argument.removeprefix("--").partition("=")
        if argument.startswith("--") and len(name) > len(shortest) and option.startswith(name):
            given = text if equals else "".join(arguments[index + 1 : index + 2])
    return given


def check_for_empty_arguments(arguments: Sequence[str]) -> None:
    """Raise ConfigurationError if an argument is empty, as in `-j "$JOB"` without JOB: configman would fail on it. It
    would take an empty --admin.print_conf or --admin.dump_conf as not given, so that the jobs would run."""
    for before, argument in pairwise(["", *arguments]):
        if before == "--":
            return
        if not argument:
            where = f"after {before.partition('=')[0]}" if before else "at the beginning"  # without a secret
            raise ConfigurationError(f"an empty argument {where}: is a variable of the shell empty?")
        name, _, value = argument.partition("=")
        if name.startswith(("--admin.p", "--admin.d")) and argument != name and not value:
            raise ConfigurationError(f"{name} is empty (see --help)")


def adapted(source: Any) -> Any:
    """Return our CommandLine in place of a configman source for the command line, and any other source as it is."""
    return CommandLine(source.argv_source) if type(source) is for_getopt.ValueSource else source


class CommandLine(for_getopt.ValueSource):  # type: ignore[misc]
    """configman's source for the command line, with short forms in every namespace. Its cost grows with the length of
    the command line, not with the number of options."""

    def __init__(self, argv_source: Sequence[str]) -> None:
        self.argv_source = argv_source

    def get_values(self, config_manager: Any, ignore_mismatches: bool, obj_hook: Any = DotDict) -> Any:
        """Return what the command line sets. NotAnOptionError if an option is unknown, unless `ignore_mismatches`."""
        definitions = config_manager.option_definitions
        short_options, long_options = self.getopt_create_opts(definitions)
        parse = self.getopt_with_ignore if ignore_mismatches else getopt.gnu_getopt
        try:
            switches, config_manager.args = parse(self.argv_source, short_options, long_options)
        except getopt.GetoptError as error:
            raise NotAnOptionError(str(error)) from error
        values = obj_hook()
        for switch, text in switches:
            name = switch[2:] if switch.startswith("--") else _name_of(switch[1:], definitions)
            option = definitions[name]
            values[name] = not boolean_converter(str(option.default)) if _is_switch(option) else text
        if config_manager.args:
            for name, text in zip(self._get_arguments(definitions, values), config_manager.args, strict=False):
                values[name] = text
        return values

    def getopt_create_opts(self, option_definitions: Namespace) -> Any:
        """Return the short and long options in getopt's form, but only those that may be meant."""
        beginnings = tuple({word[2:].partition("=")[0] for word in self.argv_source if word.startswith("--")})
        long_options = list(_matching(option_definitions, "", beginnings)) if beginnings else []
        has_short = any(word.startswith("-") and not word.startswith("--") for word in self.argv_source)
        return _short_options(option_definitions) if has_short else "", long_options


def _matching(namespace: Namespace, prefix: str, beginnings: tuple[str, ...]) -> Iterator[str]:
    for key, value in members(namespace):
        if isinstance(value, Option):
            name = f"{prefix}{value.name}"
            if name.startswith(beginnings):
                yield name if _is_switch(value) else f"{name}="
        elif isinstance(value, Namespace):
            below = f"{prefix}{key}."
            if below.startswith(beginnings) or any(beginning.startswith(below) for beginning in beginnings):
                yield from _matching(value, below, beginnings)


def _short_options(definitions: Namespace) -> str:
    forms: dict[str, str] = {}
    for option in options_in(definitions).values():
        if option.short_form:
            forms.setdefault(option.short_form, "" if _is_switch(option) else ":")
    return "".join(form + colon for form, colon in forms.items())


def _is_switch(option: Option) -> bool:
    """True if the option takes no value. Its default may be a text by now, from a file."""
    return bool(option.from_string_converter == boolean_converter)


def _name_of(short_form: str, definitions: Namespace) -> str:
    return next(name for name, option in options_in(definitions).items() if option.short_form == short_form)
