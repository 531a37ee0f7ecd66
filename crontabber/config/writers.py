"""Write a configuration so that what is read back is what was written. Imported when something is written."""

import io
import json
import os
import re
import shlex
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import IO, Any

import configobj
from configman import Namespace
from configman.converters import to_str
from configman.option import Aggregation, Option
from configman.value_sources import for_configobj

from crontabber.config.definitions import text_of

INI_INDENT = 4
PLAIN_INI_VALUE = re.compile(r"""([^\s,#'"]([^,#'"\n\r]*[^\s,#'"])?)?""")


@contextmanager
def new_file_for_owner(path: str) -> Iterator[IO[str]]:
    """Yield a new file, readable by its owner alone, that replaces whatever is at `path` once it is written.

    A link is replaced, not followed. A device or a pipe is written to as it is.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123  # pathlib takes 5 ms to import
            yield file
        return
    folder, name = os.path.split(path)
    descriptor, temporary = tempfile.mkstemp(dir=folder or os.curdir, prefix=f".{name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            yield file
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def write_ini(source: Namespace, output_stream: IO[str]) -> None:
    """Use configman's own writer, on a copy with docs and values in a form that it writes correctly."""
    prepared = source.safe_copy()
    _prepare_for_ini(prepared, "")
    for_configobj.ValueSource.write(prepared, output_stream=output_stream)


def write_env(source: Namespace, output_stream: IO[str]) -> None:
    """Write shell assignments. configman wrote the repr of bytes, and showed the default of a secret in a comment."""
    previous_namespace = ""
    for namespace, option in _options(source):
        if namespace != previous_namespace:
            print(file=output_stream)
            previous_namespace = namespace
        default = option.value if option.secret else option.default
        comment = f"{option.doc or ''} (default: {default!r})".strip()
        print(textwrap.fill(comment, 80, initial_indent="# ", subsequent_indent="# "), file=output_stream)
        assignment = f"{_dotted(namespace, option.name).replace('.', '__')}={_shell_quoted(text_of(option))}"
        print(_commented(assignment) if option.value is None else assignment, file=output_stream)


def write_conf(source: Namespace, output_stream: IO[str]) -> None:
    """Write one assignment per line, commented out if it only states the default, or if it has several lines.

    configman wrote the repr of bytes, and also commented out changed values.
    """
    previous_namespace = ""
    for namespace, option in _options(source):
        if namespace != previous_namespace:
            print(f"#{'-' * 79}\n# {namespace}\n", file=output_stream)
            previous_namespace = namespace
        name, value = _dotted(namespace, option.name), text_of(option)
        print(_commented(f"name: {name}\ndoc: {option.doc}"), file=output_stream)
        assignment = f"{name}={value}"
        stands = _stands(option) and "\n" not in value
        print(assignment if stands else _commented(assignment), end="\n\n", file=output_stream)


def write_json(source: Namespace, output_stream: IO[str]) -> None:
    """Write None as null (configman wrote "None"), and any other value with the option's own converter.

    JSON has no comments, so a default is written under another name: as a value, it would override the shared option
    that this one refers to. Aggregations, which configman wrote as unknown options, are left out.
    """
    json.dump(_as_json(source), output_stream)


def _writer(write: Callable[[Namespace, IO[str]], None]) -> SimpleNamespace:
    """Return a writer as configman expects it: an object with a ValueSource."""
    return SimpleNamespace(ValueSource=SimpleNamespace(write=write))


WRITERS = {
    "ini": _writer(write_ini),
    "env": _writer(write_env),
    "conf": _writer(write_conf),
    "json": _writer(write_json),
}


def _options(source: Namespace, namespace: str = "") -> Iterator[tuple[str, Option]]:
    """Yield each option with the dotted name of its namespace, sorted by name, before those of inner namespaces."""
    options = [value for value in source.values() if isinstance(value, Option)]
    yield from ((namespace, option) for option in sorted(options, key=lambda option: option.name))
    for key, value in source.items():
        if isinstance(value, Namespace):
            yield from _options(value, _dotted(namespace, key))


def _stands(option: Option) -> bool:
    """True if the value has to be written: it was changed, or users will want to change it."""
    return bool(option.likely_to_be_changed or option.has_changed)


def _dotted(namespace: str, name: str) -> str:
    return f"{namespace}.{name}" if namespace else name


def _commented(text: str) -> str:
    return "\n".join(f"# {line}" for line in text.split("\n"))


def _shell_quoted(text: str) -> str:
    quoted = shlex.quote(text)
    return quoted if quoted.startswith("'") else f"'{quoted}'"


def _prepare_for_ini(namespace: Namespace, indent: str) -> None:
    for value in namespace.values():
        if isinstance(value, Namespace):
            _prepare_for_ini(value, indent + " " * INI_INDENT)
        elif isinstance(value, Option):
            value.doc = value.doc and f"\n{indent}# ".join(value.doc.split("\n"))
            value.value, value.to_string_converter = _ini_quoted(text_of(value)), None
            # A comment has one line only. Setting the default means the same.
            value.has_changed = value.has_changed or "\n" in value.value


def _ini_quoted(text: str) -> str:
    """Quote the text in the first way that an ini file reads back unchanged, or else as well as possible."""
    if PLAIN_INI_VALUE.fullmatch(text):
        return text
    quotes = ['"', "'", '"""', "'''"]
    candidates = [f"{quote}{text}{quote}" for quote in quotes]
    return next((candidate for candidate in candidates if _read_from_ini(candidate) == text), candidates[-1])


def _read_from_ini(value: str) -> str | None:
    try:
        return configobj.ConfigObj(io.StringIO(f"x={value}"), interpolation=False).get("x")
    except configobj.ConfigObjError:
        return None


def _as_json(source: Any) -> Any:
    if isinstance(source, Option):
        attributes = {name: None if value is None else to_str(value) for name, value in vars(source).items()}
        del attributes["value"], attributes["default"]
        value = None if source.value is None else text_of(source)
        return attributes | ({"value": value, "default": value} if _stands(source) else {"default_in_code": value})
    return {key: _as_json(value) for key, value in source.items() if not isinstance(value, Aggregation)}
