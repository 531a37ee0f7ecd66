"""How is a configuration written, so that what is read back is what was written? Imported when something is written."""

import io
import json
import re
import shlex
import textwrap
from collections.abc import Callable, Iterator
from typing import IO, Any

import configobj
from configman import Namespace
from configman.converters import to_str
from configman.option import Aggregation, Option

INI_INDENT = 4
INI_VALUE_THAT_READS_AS_IT_STANDS = re.compile(r"""([^\s,#'"]([^,#'"\n\r]*[^\s,#'"])?)?""")


def write_ini(source: Namespace, output_stream: IO[str], write_plainly: Callable[..., None]) -> None:
    """By configman's own writer, from a copy in which docs and values are put so that it writes them well."""
    prepared = source.safe_copy()
    _prepare_for_ini(prepared, "")
    write_plainly(prepared, output_stream=output_stream)


def write_env(source: Namespace, output_stream: IO[str], write_plainly: Callable[..., None]) -> None:
    """As words of a shell; configman wrote the repr of bytes, and the true default of a masked option in a comment."""
    previous_namespace = ""
    for namespace, option in _options(source):
        if namespace != previous_namespace:
            print(file=output_stream)
            previous_namespace = namespace
        default = option.value if option.secret else option.default
        comment = f"{option.doc or ''} (default: {default!r})".strip()
        print(textwrap.fill(comment, 80, initial_indent="# ", subsequent_indent="# "), file=output_stream)
        assignment = f"{_dotted(namespace, option.name).replace('.', '__')}={_shell_quoted(str(option))}"
        print(_commented(assignment) if option.value is None else assignment, file=output_stream)


def write_conf(source: Namespace, output_stream: IO[str], write_plainly: Callable[..., None]) -> None:
    """One assignment a line, commented out where it says what would be so without it, or where it has several lines.

    configman wrote the repr of bytes, and changed values commented out too.
    """
    previous_namespace = ""
    for namespace, option in _options(source):
        if namespace != previous_namespace:
            print(f"#{'-' * 79}\n# {namespace}\n", file=output_stream)
            previous_namespace = namespace
        name, value = _dotted(namespace, option.name), str(option)
        print(_commented(f"name: {name}\ndoc: {option.doc}"), file=output_stream)
        assignment = f"{name}={value}"
        stands = _stands(option) and "\n" not in value
        print(assignment if stands else _commented(assignment), end="\n\n", file=output_stream)


def write_json(source: Namespace, output_stream: IO[str], write_plainly: Callable[..., None]) -> None:
    """None is null, which was the text "None"; and a value is written by the option's own converter.

    JSON has no comments: what is at its default says so by another name, for a value would hide that of the resource
    which the option refers to. What is no option, and is asked for nowhere, is left out.
    """
    json.dump(_as_json(source), output_stream)


WRITERS = {"ini": write_ini, "env": write_env, "conf": write_conf, "json": write_json}


def _options(source: Namespace, namespace: str = "") -> Iterator[tuple[str, Option]]:
    """Each option with the dotted name of its namespace: those of a namespace by name, before those further down."""
    options = [value for value in source.values() if isinstance(value, Option)]
    yield from ((namespace, option) for option in sorted(options, key=lambda option: option.name))
    for key, value in source.items():
        if isinstance(value, Namespace):
            yield from _options(value, _dotted(namespace, key))


def _stands(option: Option) -> bool:
    """Is it more than a comment, that says what would be so without it?"""
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
            value.value, value.to_string_converter = _ini_quoted(str(value)), None
            # A comment has one line only. To set the default says the same.
            value.has_changed = value.has_changed or "\n" in value.value


def _ini_quoted(text: str) -> str:
    """The text in the first of an ini file's ways to quote that gives it back; else as good as it gets."""
    if INI_VALUE_THAT_READS_AS_IT_STANDS.fullmatch(text):
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
        value = None if source.value is None else str(source)
        return attributes | ({"value": value, "default": value} if _stands(source) else {"default_in_code": value})
    return {key: _as_json(value) for key, value in source.items() if not isinstance(value, Aggregation)}
