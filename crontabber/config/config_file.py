"""The configuration file: which one it is, and what is wrong with it, said without showing what is in it."""

import os

from crontabber.errors import ConfigurationError

READABLE = ("ini", "json", "conf", "py")

_WHAT_CONFIGOBJ_MEANS = {
    "ParseError": "is neither [section] nor name = value, or a quote that begins there is not closed",
    "NestingError": "has brackets that do not fit the section around it",
    "DuplicateError": "repeats a section or an option that is there already",
}


def check_config_file(given: str | None, default: str) -> None:
    """ConfigurationError if the file that was given, or else the default one, cannot be used. No file is no fault as
    long as none was given. What is given may also be a Python module."""
    path = default if given is None else given
    if given is None and not os.path.isfile(default):
        return
    if given == "":
        raise ConfigurationError("--admin.conf is empty: name a configuration file")
    if not os.path.exists(path):
        if os.sep in path or path.endswith(READABLE[:3]):
            raise ConfigurationError(f"{path}: there is no such configuration file{_instead_of(path)}")
        return
    if not os.path.isfile(path):
        what = "a folder" if os.path.isdir(path) else "no file"
        raise ConfigurationError(f"{path} is {what}: --admin.conf wants a configuration file")
    if not path.endswith(READABLE):
        raise ConfigurationError(f"{path}: the name of a configuration file ends in .ini, .json or .conf")
    _check_text(path)


def why_unreadable(path: str) -> str | None:
    """Where configman could not read the file, the reason; None if that cannot be found out."""
    from configman.value_sources.for_configobj import ConfigObjWithIncludes
    from configobj import ConfigObjError, InterpolationError

    try:
        if path.endswith("json"):
            _read_json(path)
        elif path.endswith("ini"):
            ConfigObjWithIncludes(path).dict()
    except InterpolationError as error:
        return f"{path}: {error}"
    except ConfigObjError as error:
        faults = getattr(error, "errors", [error])
        return "\n".join(_sentence(path, fault) for fault in faults)
    except RecursionError:
        return f"{path}: +include leads in a circle"
    except OSError as error:
        return f"{path}: +include {error.filename}: {error.strerror}"
    except ValueError as error:
        return f"{path}: {error}"
    return None


def _sentence(path: str, fault: Exception) -> str:
    meaning = _WHAT_CONFIGOBJ_MEANS.get(type(fault).__name__, "cannot be read")
    return f"{path}: line {getattr(fault, 'line_number', '?')} {meaning}"


def _read_json(path: str) -> None:
    import json

    with open(path, encoding="utf-8-sig") as file:  # noqa: PTH123  # pathlib takes 5 ms to import
        try:
            json.load(file)
        except json.JSONDecodeError as error:
            raise ValueError(f"line {error.lineno} is no JSON: {error.msg}") from error


def _check_text(path: str) -> None:
    try:
        with open(path, "rb") as file:  # noqa: PTH123  # pathlib takes 5 ms to import
            content = file.read()
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    if b"\0" in content:
        raise ConfigurationError(f"{path} is no text file")
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigurationError(f"{path}: line {line} is not in UTF-8") from error


def _instead_of(path: str) -> str:
    from difflib import get_close_matches

    folder, name = os.path.split(path)
    try:
        files = [file for file in os.listdir(folder or os.curdir) if file.endswith(READABLE[:3])]
    except OSError:
        return ""
    near = get_close_matches(name, files, n=1)
    return f"; did you mean {os.path.join(folder, near[0])}?" if near else ""
