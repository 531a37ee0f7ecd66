"""What is wrong with options and their values: which one, where it was set, what is wanted, what may be meant."""

import getopt
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from configman.config_exceptions import CannotConvertError
from configman.converters import boolean_converter, class_converter, str_quote_stripper
from configman.dotdict import DotDict
from configman.namespace import Namespace
from configman.option import Option

from crontabber.config.definitions import flattened, options_in
from crontabber.errors import CrontabberError
from crontabber.output.secrets import MASK, is_secret

_BOOLEANS = ("true", "t", "1", "y", "yes", "false", "f", "0", "n", "no", "")
_WANTED: dict[Any, str] = {
    int: "a whole number is wanted",
    float: "a number is wanted",
    boolean_converter: "True or False is wanted",
}
# Others may share these, or look after what they set: what is there too much is no fault unless it looks like one.
_SHARED = re.compile(r"(resource|secrets)\.|(.*\.)?class-[^.]+\.")

# Options of ours that are texts. Of others, which may have the same names, a list may be welcome.
_TEXTS = {"host", "port", "dbname", "user", "password", "data_dir", "run_as", "dsn", "syslog_host", "frequency", "time"}
_OF_A_JOB = re.compile(r"(.*\.)?class-[^.]+\.(?!frequency$|time$)[^.]+")


def faults_of_values(manager: Any) -> list[str]:
    """A sentence for each option whose text cannot be converted. An option that many refer to is named once."""
    return _faults(manager, _why_not_converted)


def faults_that_went_unnoticed(manager: Any) -> list[str]:
    """The same for values that configman takes without a word: a boolean that is none, no class or a whole module, a
    list for a text."""
    return _faults(manager, _why_not_meant)


def unknown_options(manager: Any, known: set[str], strict: bool) -> Iterator[tuple[str, str]]:
    """For each option that a source has and nothing asks for: its name, and a sentence; unless it is `strict`, without
    what may be there for others. NotAnOptionError for what the command line has too much."""
    for source in manager.values_source_list:
        in_command_line = hasattr(source, "command_line_value_source")
        values = source.get_values(manager, not in_command_line, manager.value_source_object_hook)
        unknown = _unknown_keys(values, known)
        if getattr(source, "always_ignore_mismatches", False):
            # The environment belongs to everyone; but no other program's names begin like ours.
            definitions = Namespace.items(manager.option_definitions)
            ours = tuple(f"{key}." for key, value in definitions if isinstance(value, Namespace))
            unknown = {key for key in unknown if key.startswith(ours)}
        for key in sorted(unknown):
            section = key.rpartition(".")[0]
            shared = _SHARED.match(key)
            near = _nearest_in_section(key, known) if shared else _nearest(key, known)
            if near or strict or not shared or ("class-" in section and section in _sections(known)):
                yield key, f"{_place(manager, source)}: there is no option {key}{near}; it changes nothing"


def fault_of_command_line(error: Exception, known: Iterable[str]) -> str:
    """What getopt, of which configman makes `error`, found wrong."""
    cause = error.__cause__ or error.__context__
    if not isinstance(cause, getopt.GetoptError) or not cause.opt:
        return f"{error}: see --help"
    option = f"--{cause.opt}" if len(cause.opt) > 1 else f"-{cause.opt}"
    if "must not have an argument" in cause.msg:
        # --conf is a beginning of --configtest.
        meant = [key for key in known if key.startswith("admin.") and cause.opt.startswith(key.removeprefix("admin."))]
        hint = f" (did you mean --{meant[0]}=...?)" if meant else ""
        return f"{option} is a switch that takes no value{hint}; in a configuration file it can be True or False"
    if "requires argument" in cause.msg:
        return f"{option} wants a value: {option}{'=' if option.startswith('--') else ' '}..."
    if "unique prefix" in cause.msg:
        meant = sorted(f"--{key}" for key in known if key.startswith(cause.opt))
        return f"{option} could be {', '.join(meant[:4])}{' and others' if len(meant) > 4 else ''}"
    near = " (did you mean --help?)" if option == "-h" else _nearest(cause.opt, known, "--")
    return f"there is no option {option}{near}; --help lists all"


def _faults(manager: Any, why_not: Callable[[str, Option], str | None]) -> list[str]:
    faults: dict[tuple[str, str], str] = {}
    for key, option in options_in(manager.option_definitions).items():
        why = why_not(key, option)
        if why is None:
            continue
        source = _source_of(manager, key)
        name = key.rpartition(".")[2], str(option.default)
        if source is not None or name not in faults:
            shown = MASK if option.secret or is_secret(name[0]) else repr(option.default)
            place = f"{_place(manager, source)}: " if source is not None else ""
            faults[name] = f"{place}{key} is {shown}: {why}"
    return list(faults.values())


def _why_not_converted(key: str, option: Option) -> str | None:
    if not isinstance(option.default, str) or option.from_string_converter is None:
        return None
    try:
        option.from_string_converter(option.default)
    except (CrontabberError, TypeError):
        return None  # The first is said by itself; after the second configman takes the text as it is.
    except (Exception, SystemExit) as error:
        said = " ".join(str(error).split())
        if not isinstance(error, (ValueError, CannotConvertError)):
            said = f"{type(error).__name__}: {said}"
        if option.from_string_converter is class_converter:
            return f"a class is wanted, as module.Class ({said})"
        return _WANTED.get(option.from_string_converter) or said
    return None


def _why_not_meant(key: str, option: Option) -> str | None:
    converter, text = option.from_string_converter, option.default
    if isinstance(text, list) and option.name in _TEXTS and converter is str and not _OF_A_JOB.fullmatch(key):
        return "a value with a comma stands between quotes"
    if converter is str or not isinstance(text, str):
        return None
    if converter is boolean_converter and str_quote_stripper(text.strip()).lower() not in _BOOLEANS:
        return _WANTED[converter]
    if converter is class_converter and not callable(option.value) and (text or option.name.endswith("_class")):
        return "a class is wanted, as module.Class"
    return None


def _source_of(manager: Any, key: str) -> Any:
    """The source whose value an option has; None if it is nowhere but in the code."""
    for source in reversed(manager.values_source_list):
        try:
            source.get_values(manager, True, manager.value_source_object_hook)[key]
        except KeyError:
            continue
        return source
    return None


def _place(manager: Any, source: Any) -> str:
    if hasattr(source, "command_line_value_source"):
        return "command line"
    if getattr(source, "always_ignore_mismatches", False):
        return "environment"
    path = manager.option_definitions.admin.conf.default if "conf" in manager.option_definitions.admin else None
    return path if isinstance(path, str) and not hasattr(source, "source") else "configuration"


def _unknown_keys(values: Any, known_keys: set[str]) -> set[str]:
    """The dotted names of what a source has and nobody asked for."""
    flat = flattened(values) or flattened(DotDict(values)) or {}
    return {key for key, value in flat.items() if not isinstance(value, DotDict)}.difference(known_keys)


def _nearest(key: str, known: Iterable[str], prefix: str = "") -> str:
    from difflib import get_close_matches

    known = sorted(known)
    last = key.rpartition(".")[2]
    near = get_close_matches(key, known, n=1, cutoff=0.75)
    near = near or [name for name in known if name.rpartition(".")[2] == last][:1]
    near = near or get_close_matches(key, known, n=1, cutoff=0.6)
    return f" (did you mean {prefix}{near[0]}?)" if near else ""


def _nearest_in_section(key: str, known: Iterable[str]) -> str:
    """What looks like a slip: an option of a section that is there, or the name of such a section."""
    from difflib import get_close_matches

    section, _, last = key.rpartition(".")
    if last == "jobs" and "crontabber.jobs" in known:
        return " (did you mean crontabber.jobs? What stands below the heading of a section belongs to that section)"
    sections = _sections(known)
    if section in sections:
        options = [name.rpartition(".")[2] for name in known if name.rpartition(".")[0] == section]
        near = [f"{section}.{name}" for name in get_close_matches(last, options, n=1, cutoff=0.75)]
    else:
        near = [f"{name}.{last}" for name in get_close_matches(section, sections, n=1, cutoff=0.9)]
    return f" (did you mean {near[0]}?)" if near else ""


def _sections(known: Iterable[str]) -> set[str]:
    return {name.rpartition(".")[0] for name in known}
