"""Say what is wrong with options: which one, where it was set, what was expected, what was probably meant."""

import getopt
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from configman.config_exceptions import CannotConvertError
from configman.converters import boolean_converter, class_converter, str_quote_stripper
from configman.dotdict import DotDict
from configman.namespace import Namespace
from configman.option import Option

from crontabber.config.config_file import ConfigFile
from crontabber.config.definitions import flattened, members
from crontabber.config.policy_options import possible_names
from crontabber.errors import CrontabberError
from crontabber.output.secrets import MASK, is_secret
from crontabber.rules.text import one_line

# To configman, the first five mean True, and everything else means False.
_BOOLEANS = ("true", "t", "1", "y", "yes", "false", "f", "0", "n", "no", "off", "none", "")
_EXPECTED: dict[Any, str] = {
    int: "expected a whole number",
    float: "expected a number",
}
# Other programs may share these sections, and old jobs may have left options in them: an unknown option there is a
# fault only if it looks like a typo.
_SHARED = re.compile(r"(resource|secrets)\.|(.*\.)?class-[^.]+\.")
_OF_JOBS = "crontabber.class-"
_SECTION_OF_A_JOB = re.compile(r"(.*\.)?class-[^.]+\.")

# Our own options that are texts. Options of jobs may have the same names and accept a list.
_TEXTS = {
    "host", "port", "dbname", "user", "password", "data_dir", "run_as", "dsn", "syslog_host", "frequency", "time",
    "ping_url", "tick_ping_url",
}  # fmt: skip
_OF_A_JOB = re.compile(r"(.*\.)?class-[^.]+\.(?!frequency$|time$)[^.]+")
# Classes that need not be named: without one, there is no such thing.
_MAY_BE_NO_CLASS = {"executor_class"}


def faults_of_values(manager: Any, options: Mapping[str, Option]) -> list[str]:
    """Return a sentence for each option whose text cannot be converted; only one if several options share the value."""
    return _faults(manager, {key: _why_not_converted(option) for key, option in options.items()})


def faults_that_went_unnoticed(manager: Any, options: Mapping[str, Option]) -> list[str]:
    """Return the same for values that configman accepts silently: a module for a class, a list for a text."""
    return _faults(manager, {key: _why_not_meant(key, option) for key, option in options.items()})


def doubtful_booleans(manager: Any, options: Mapping[str, Option]) -> list[str]:
    """Return a sentence for each boolean whose text is neither true nor false to us."""
    booleans = {key: option for key, option in options.items() if option.from_string_converter is boolean_converter}
    return _faults(manager, {key: _why_doubtful(option) for key, option in booleans.items()})


def unknown_options(manager: Any, known: set[str], strict: bool) -> Iterator[tuple[str, str]]:
    """Yield the name of each unknown option that a source sets, and a sentence; unless `strict`, without those that may
    be there for other programs. NotAnOptionError for an unknown one on the command line."""
    for source in manager.values_source_list:
        place = place_of(source)
        for key in sorted(_unknown_in(manager, source, known)):
            names = known.union(possible_names(key))
            near = _nearest_in_section(key, names) if _SHARED.match(key) else _nearest(key, names)
            if near or strict or not _is_of_others(key, known):
                yield key, f"{place}: unknown option {key}{near}{'' if strict else ', ignored'}"


def fault_of_command_line(error: Exception, known: set[str]) -> str:
    """Say what is wrong with the command line: `error` is configman's, made from one of getopt's."""
    cause = error.__cause__ or error.__context__
    if not isinstance(cause, getopt.GetoptError) or not cause.opt:
        return f"{error} (see --help)"
    option = f"--{cause.opt}" if len(cause.opt) > 1 else f"-{cause.opt}"
    if "must not have an argument" in cause.msg:
        # getopt takes --conf for --configtest.
        meant = [key for key in known if key.startswith("admin.") and cause.opt.startswith(key.removeprefix("admin."))]
        hint = f" (did you mean --{meant[0]}=...?)" if meant else ""
        return f"{option} takes no value{hint}: write it alone, or set it to True or False in a configuration file"
    if "requires argument" in cause.msg:
        return f"{option} needs a value: {option}{'=' if option.startswith('--') else ' '}..."
    if "unique prefix" in cause.msg:
        meant = sorted(f"--{key}" for key in known if key.startswith(cause.opt))
        return f"{option} is ambiguous: did you mean {', '.join(meant[:4])}{' or another' if len(meant) > 4 else ''}?"
    names = known.union(possible_names(cause.opt))
    near = " (did you mean --help?)" if option == "-h" else _nearest(cause.opt, names, "--")
    return f"unknown option {option}{near or ' (see --help)'}"


def place_of_value(manager: Any, key: str) -> str | None:
    """Name the source that an option has its value from. None if the value is a default in code."""
    source = _source_of(manager, key)
    return None if source is None else place_of(source)


def place_of(source: Any) -> str:
    """Name a source of the configuration so that a user can find it."""
    if hasattr(source, "command_line_value_source"):
        return "command line"
    if getattr(source, "always_ignore_mismatches", False):
        return "environment"
    contents = getattr(source, "source", None)
    return contents.path if isinstance(contents, ConfigFile) else "configuration"


def _faults(manager: Any, why: dict[str, str | None]) -> list[str]:
    faults: dict[tuple[str, str], str] = {}
    for key, reason in why.items():
        if reason is None:
            continue
        option = manager.option_definitions[key]
        source = _source_of(manager, key)
        name = key.rpartition(".")[2], str(option.default)
        if source is not None or name not in faults:
            shown = MASK if option.secret or is_secret(name[0]) else repr(option.default)
            place = f"{place_of(source)}: " if source is not None else ""
            faults[name] = f"{place}{key} is {shown}: {reason}"
    return list(faults.values())


def _why_not_converted(option: Option) -> str | None:
    if not isinstance(option.default, str) or option.from_string_converter is None:
        return None
    try:
        option.from_string_converter(option.default)
    except (CrontabberError, TypeError):
        return None  # The first is reported by itself; after the second configman takes the text as it is.
    except (Exception, SystemExit) as error:
        said = one_line(str(error))
        if not isinstance(error, (ValueError, CannotConvertError)):
            said = f"{type(error).__name__}: {said}"
        if option.from_string_converter is class_converter:
            return f"cannot import it as module.Class ({said})"
        return _EXPECTED.get(option.from_string_converter) or said
    return None


def _why_not_meant(key: str, option: Option) -> str | None:
    converter, text = option.from_string_converter, option.default
    if isinstance(text, list) and option.name in _TEXTS and converter is str and not _OF_A_JOB.fullmatch(key):
        return "put quotes around a value with a comma"
    if converter is str or not isinstance(text, str):
        return None
    needs_class = option.name.endswith("_class") and option.name not in _MAY_BE_NO_CLASS
    if converter is class_converter and not callable(option.value) and (text or needs_class):
        return "expected a class, written as module.Class"
    return None


def _why_doubtful(option: Option) -> str | None:
    text = option.default
    if not isinstance(text, str) or str_quote_stripper(text.strip()).lower() in _BOOLEANS:
        return None
    return "taken as False (write True or False)"


def _source_of(manager: Any, key: str) -> Any:
    """Return the source that an option has its value from, or None if the value is a default in code."""
    for source in reversed(manager.values_source_list):
        try:
            source.get_values(manager, True, manager.value_source_object_hook)[key]
        except (KeyError, AttributeError):
            continue
        return source
    return None


def _unknown_in(manager: Any, source: Any, known: set[str]) -> set[str]:
    if hasattr(source, "command_line_value_source"):
        return _unknown_on_command_line(manager, source)
    values = source.get_values(manager, True, manager.value_source_object_hook)
    flat = flattened(values) or flattened(DotDict(values)) or {}
    unknown = {key for key, value in flat.items() if not isinstance(value, DotDict)} - known
    return _ours(manager, unknown) if getattr(source, "always_ignore_mismatches", False) else unknown


def _unknown_on_command_line(manager: Any, source: Any) -> set[str]:
    """Raise NotAnOptionError if getopt finds an unknown option. Otherwise return nothing unknown."""
    source.get_values(manager, False, manager.value_source_object_hook)
    return set()


def _ours(manager: Any, names: set[str]) -> set[str]:
    """Keep only our own names: other programs use the environment, too, but only ours begin like our sections."""
    sections = tuple(f"{key}." for key, value in members(manager.option_definitions) if isinstance(value, Namespace))
    return {name for name in names if name.startswith(sections)}


def _is_of_others(key: str, known: Iterable[str]) -> bool:
    """True in a section that other programs share or that an old job may have left, unless its job is configured."""
    job = _SECTION_OF_A_JOB.match(key)
    return bool(_SHARED.match(key)) and not (job and any(name.startswith(job[0]) for name in known))


def _nearest(key: str, known: Iterable[str], prefix: str = "") -> str:
    from difflib import get_close_matches

    known = sorted(known)
    last = key.rpartition(".")[2]
    near = get_close_matches(key, known, n=1, cutoff=0.75)
    near = near or [name for name in known if name.rpartition(".")[2] == last][:1]
    near = near or get_close_matches(key, known, n=1, cutoff=0.6)
    return f" (did you mean {prefix}{near[0]}?)" if near else ""


def _nearest_in_section(key: str, known: set[str]) -> str:
    """Suggest what a typo may mean: an option of the same section, or the same option of a section."""
    from difflib import get_close_matches

    section, _, last = key.rpartition(".")
    if last == "jobs" and "crontabber.jobs" in known:
        return " (did you mean crontabber.jobs? Every line below a [section] belongs to that section)"
    sections = _sections(known)
    if section in sections:
        options = [name.rpartition(".")[2] for name in known if name.rpartition(".")[0] == section]
        near = [f"{section}.{name}" for name in get_close_matches(last, options, n=1, cutoff=0.75)]
    else:
        # Without the beginning that all sections of jobs share: any two short names would look alike.
        others = {name.removeprefix(_OF_JOBS): name for name in sections if not section.startswith(f"{name}.")}
        similar = get_close_matches(section.removeprefix(_OF_JOBS), others, cutoff=0.85)
        near = [option for name in similar if (option := f"{others[name]}.{last}") in known][:1]
    return f" (did you mean {near[0]}?)" if near else ""


def _sections(known: Iterable[str]) -> set[str]:
    return {name.rpartition(".")[0] for name in known}
