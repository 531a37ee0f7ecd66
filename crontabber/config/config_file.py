"""Find the configuration file, read it, and say what is wrong with it, but never show its contents."""

import os
from typing import Any

from configman.value_sources import for_conf
from configman.value_sources.for_configobj import ConfigObjWithIncludes
from configobj import ConfigObjError, ConfigParserInterpolation, InterpolationError, MissingInterpolationOption

from crontabber.errors import ConfigurationError

_MISSING = object()
_WHAT_CONFIGOBJ_MEANS = {
    "ParseError": "is neither [section] nor name = value, or begins a quote that is never closed",
    "NestingError": "has the wrong number of brackets for a section at this place",
    "DuplicateError": "repeats a section or an option: each may appear only once",
}


class ConfigFile(dict[str, Any]):
    """The contents of the configuration file at `path`, as a source for configman.

    ConfigurationError if the file cannot be read.
    """

    def __init__(self, path: str) -> None:
        super().__init__(_contents(path))
        self.path = path


def is_readable(path: Any) -> bool:
    """True if ConfigFile can read it; configman has sources of other kinds."""
    return isinstance(path, str) and path.endswith(tuple(_READERS)) and os.path.isfile(path)


def check_config_file(given: str | None, default: str) -> None:
    """Raise ConfigurationError if the given file, or else the default one, is not a configuration file. The default one
    may be missing, and the given one may be a Python module."""
    path = default if given is None else given
    if given is None and not os.path.isfile(default):
        return
    if given == "":
        raise ConfigurationError("--admin.conf is empty: give it the path of a configuration file")
    if not os.path.exists(path):
        if os.sep in path or path.endswith(tuple(_READERS)):
            raise ConfigurationError(f"{path}: no such configuration file{_instead_of(path)}")
        return
    if not os.path.isfile(path):
        what = "a folder" if os.path.isdir(path) else "not a regular file"
        raise ConfigurationError(f"{path} is {what}: --admin.conf needs a configuration file")
    if not path.endswith((*_READERS, "py")):
        raise ConfigurationError(f"{path}: the name of a configuration file must end in .ini, .json or .conf")


class _IniFile(ConfigObjWithIncludes):  # type: ignore[misc]
    """An ini file, in UTF-8 whatever the locale (under cron it is mostly C). `%(name)s` stays as it is if there is no
    option of that name, so that a log format needs no escapes."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._interpolate_in(self)

    def _expand_files(self, file_name: str, original_path: str, indent: str = "") -> list[str]:
        lines = []
        with open(file_name, encoding="utf-8-sig") as file:  # noqa: PTH123  # pathlib takes 5 ms to import
            for line in file:
                if include := self._include_re.match(line):
                    path = os.path.join(original_path, include.group(2))
                    lines += self._expand_files(path, os.path.dirname(path), indent + include.group(1))
                else:
                    lines.append(indent + line.rstrip())
        return lines

    def _interpolate_in(self, section: Any) -> None:
        section._interpolation_engine = _Interpolation(section)
        for name in section.sections:
            self._interpolate_in(dict.__getitem__(section, name))


class _Interpolation(ConfigParserInterpolation):  # type: ignore[misc]
    def _parse_match(self, match: Any) -> Any:
        try:
            return super()._parse_match(match)
        except MissingInterpolationOption:
            return None, match.group(), None


def _read_ini(path: str) -> Any:
    return _IniFile(path).dict()


def _read_json(path: str) -> Any:
    import json

    with open(path, encoding="utf-8-sig") as file:  # noqa: PTH123  # pathlib takes 5 ms to import
        try:
            contents = json.load(file)
        except json.JSONDecodeError as error:
            raise ValueError(f"line {error.lineno} is not valid JSON: {error.msg}") from error
    if not isinstance(contents, dict):
        raise ValueError("expected a JSON object")
    return _values_of(contents)


def _read_conf(path: str) -> Any:
    def opened() -> Any:
        return open(path, encoding="utf-8-sig")  # noqa: PTH123  # pathlib takes 5 ms to import

    # By its name configman would open the file in the encoding of the locale.
    return for_conf.ValueSource(opened).values


_READERS = {"ini": _read_ini, "json": _read_json, "conf": _read_conf}


def _contents(path: str) -> Any:
    _check_text(path)
    [read] = [read for ending, read in _READERS.items() if path.endswith(ending)]
    try:
        return read(path)
    except InterpolationError as error:
        faults = f"{path}: {error}"
    except ConfigObjError as error:
        faults = "\n".join(_sentence(path, fault) for fault in getattr(error, "errors", [error]))
    except RecursionError:
        faults = f"{path}: +include goes in a circle: a file includes itself"
    except OSError as error:
        faults = f"{path}: +include {error.filename}: {error.strerror}"
    except ValueError as error:
        faults = f"{path}: {error}"
    # Without the original error, which may quote a line with a secret.
    raise ConfigurationError(faults)


def _values_of(json_value: Any) -> Any:
    """Replace each option that is a mapping of attributes, as --admin.dump_conf writes it, with its value if any."""
    if not isinstance(json_value, dict):
        return json_value
    values = {
        key: value.get("default", _MISSING) if _is_option(value) else _values_of(value)
        for key, value in json_value.items()
    }
    return {key: value for key, value in values.items() if value is not _MISSING}


def _is_option(json_value: Any) -> bool:
    return isinstance(json_value, dict) and json_value.keys() >= {"name", "doc", "from_string_converter"}


def _sentence(path: str, fault: Exception) -> str:
    meaning = _WHAT_CONFIGOBJ_MEANS.get(type(fault).__name__, "cannot be read")
    return f"{path}: line {getattr(fault, 'line_number', '?')} {meaning}"


def _check_text(path: str) -> None:
    try:
        with open(path, "rb") as file:  # noqa: PTH123  # pathlib takes 5 ms to import
            content = file.read()
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    if b"\0" in content:
        raise ConfigurationError(f"{path} is not a text file")
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigurationError(f"{path}: line {line} is not valid UTF-8") from error


def _instead_of(path: str) -> str:
    from difflib import get_close_matches

    folder, name = os.path.split(path)
    try:
        files = [file for file in os.listdir(folder or os.curdir) if file.endswith(tuple(_READERS))]
    except OSError:
        return ""
    near = get_close_matches(name, files, n=1)
    return f"; did you mean {os.path.join(folder, near[0])}?" if near else ""
