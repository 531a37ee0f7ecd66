"""What configman 1.3.0 does wrong on the way from a source to a value, put right."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import BuiltinMethodType, MethodType, ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

MISSING = object()
WITH_WRITERS = ("for_mapping", "for_conf", "for_json", "for_configobj")


class NoSuchKeyError(KeyError, AttributeError):
    """A key leads through a value that is no mapping. configman and its users catch the one or the other."""


def look_up_dotted_keys(dotdict: ModuleType) -> None:
    """`config['a.b.c']` is looked up without weak references, and misses where a or a.b is no mapping.

    With acquisition configman puts an empty mapping in place of each missing level and ties them together by weak
    references, so that from two missing levels on the first is gone before it is asked. An empty mapping adds nothing,
    so the level is passed over. Without, `x` for a variable named `resource` in the environment was an AttributeError
    that nobody caught as soon as there is an option `resource.y`.
    """

    def get(self: Any, key: Any) -> Any:
        current = self
        try:
            for level in key.split(".") if isinstance(key, str) else [key]:
                current = getattr(current, level)
        except AttributeError as error:
            raise _missing(key, current, error) from None
        return current

    def acquire(self: Any, key: str) -> Any:
        *levels, name = key.split(".")
        current = self
        try:
            for level in levels:
                try:  # noqa: SIM105  # suppress() takes three times as long
                    current = getattr(current, level)
                except KeyError:
                    pass
            return getattr(current, name)
        except AttributeError as error:
            raise _missing(key, current, error) from None

    dotdict.DotDict.__getitem__ = get
    dotdict.DotDictWithAcquisition.__getitem__ = acquire


def _missing(key: Any, current: Any, error: AttributeError) -> AttributeError:
    """Mappings say themselves what is wrong."""
    return error if isinstance(current, Mapping) else NoSuchKeyError(key)


def compare_defaults_as_text(option: ModuleType) -> None:
    """A default that is the name of a class counted as changed once it was the class, and was written into a dumped
    file as if somebody had set it: there it would have hidden what is set for the resource that it refers to."""
    convert = option.Option.set_value

    def set_value(self: Any, val: Any = None) -> None:
        defined = self.value
        convert(self, val)
        if self.has_changed and isinstance(defined, str) and option.to_str(self.value) == defined:
            self.has_changed = False

    option.Option.set_value = set_value


def read_json_that_configman_wrote(for_json: ModuleType) -> None:
    """A printed configuration in JSON is read like one written by hand: without warnings, and null is None.

    Also, a file that is no JSON was an UnboundLocalError in the handler of the error.
    """
    initialize = for_json.ValueSource.__init__

    def __init__(self: Any, source: Any, the_config_manager: Any = None) -> None:
        try:
            initialize(self, source, the_config_manager)
        except UnboundLocalError as error:
            raise for_json.LoadingJsonFileFailsException(f"Cannot load json: {error.__context__}") from None
        self.values = _values_of(self.values)

    for_json.ValueSource.__init__ = __init__


def _values_of(json_value: Any) -> Any:
    """In place of each option as configman writes it, a mapping of its attributes, its value, if there is one."""
    if not isinstance(json_value, dict):
        return json_value
    values = {
        key: value.get("default", MISSING) if _is_option(value) else _values_of(value)
        for key, value in json_value.items()
    }
    return {key: value for key, value in values.items() if value is not MISSING}


def _is_option(json_value: Any) -> bool:
    return isinstance(json_value, dict) and json_value.keys() >= {"name", "doc", "from_string_converter"}


def read_percent_signs(for_configobj: ModuleType) -> None:
    """`%(name)s` in an ini file stays as it is where nothing of that name can take its place; it was an error."""
    missing = for_configobj.configobj.MissingInterpolationOption

    class Interpolation(for_configobj.configobj.ConfigParserInterpolation):  # type: ignore[misc,name-defined]
        def _parse_match(self, match: Any) -> Any:
            try:
                return super()._parse_match(match)
            except missing:
                return None, match.group(), None

    def interpolate(section: Any) -> None:
        section._interpolation_engine = Interpolation(section)
        for name in section.sections:
            interpolate(dict.__getitem__(section, name))

    load = for_configobj.ConfigObjWithIncludes._load

    def _load(self: Any, infile: Any, configspec: Any) -> None:
        load(self, infile, configspec)
        interpolate(self)

    for_configobj.ConfigObjWithIncludes._load = _load


def read_utf_8(module: ModuleType) -> None:
    """Configuration files are in UTF-8, whatever the locale of the moment, which under cron is mostly C."""
    module.open = _open_utf_8  # type: ignore[attr-defined]


def _open_utf_8(path: str, mode: str = "r") -> Any:
    return open(path, mode, encoding="utf-8-sig")  # noqa: PTH123  # pathlib takes 5 ms to import


def find_short_forms_of_any_depth(for_getopt: ModuleType) -> None:
    """The short form of an option more than one level down, such as a job's, was shown by --help, and refused."""

    def find_name_with_short_form(self: Any, letter: str, source: Any, prefix: str) -> str | None:
        for key, value in source.items():
            if isinstance(value, for_getopt.option.Option) and value.short_form == letter:
                return f"{prefix}{value.name}"
            if isinstance(value, for_getopt.namespace.Namespace):
                name: str | None = self.find_name_with_short_form(letter, value, f"{prefix}{key}.")
                if name:
                    return name
        return None

    for_getopt.ValueSource.find_name_with_short_form = find_name_with_short_form


def name_methods_of_classes(converters: ModuleType) -> None:
    """The default `datetime.datetime.now` was written as `None.now`."""

    def to_str(method: Any) -> str:
        if isinstance(method.__self__, type):
            return f"{method.__self__.__module__}.{method.__qualname__}"
        return str(converters.arbitrary_object_to_string(method))

    converters.to_string_converters.update(dict.fromkeys((BuiltinMethodType, MethodType), to_str))


def show_percent_signs(for_argparse: ModuleType) -> None:
    """A doc with a percent sign does not break `--help` where argparse writes it."""
    add_argument = for_argparse.ParserContainer._add_argument_from_configman_option

    def _add_argument_from_configman_option(self: Any, qualified_name: str, option: Any) -> None:
        option = option.copy()
        option.doc = option.doc and option.doc.replace("%", "%%")
        add_argument(self, qualified_name, option)

    for_argparse.ParserContainer._add_argument_from_configman_option = _add_argument_from_configman_option


def write_what_can_be_read(value_source_module: ModuleType) -> None:
    """`--admin.print_conf` and `--admin.dump_conf` write what configman reads again: see writers.py."""
    write_plainly = value_source_module.ValueSource.write

    def write(source: Any, output_stream: Any = None) -> None:
        from crontabber.configman_compat.writers import WRITERS

        WRITERS[value_source_module.file_name_extension](source, output_stream or sys.stdout, write_plainly)

    value_source_module.ValueSource.write = staticmethod(write)


def dispatch_to_the_writers_of_now(value_sources: ModuleType) -> None:
    """Where configman was loaded first, it has noted the writers of before."""
    for handler in value_sources.for_handlers:
        if hasattr(handler, "file_name_extension"):
            value_sources.file_extension_dispatch[handler.file_name_extension] = handler.ValueSource.write


COVERS: tuple[tuple[str, Callable[[ModuleType], None]], ...] = (
    ("configman.converters", name_methods_of_classes),
    ("configman.dotdict", look_up_dotted_keys),
    ("configman.option", compare_defaults_as_text),
    ("configman.value_sources.for_json", read_json_that_configman_wrote),
    ("configman.value_sources.for_configobj", read_percent_signs),
    ("configman.value_sources.for_getopt", find_short_forms_of_any_depth),
    ("configman.value_sources.for_argparse", show_percent_signs),
    *((f"configman.value_sources.{name}", read_utf_8) for name in ("for_conf", "for_json", "for_configobj")),
    *((f"configman.value_sources.{name}", write_what_can_be_read) for name in WITH_WRITERS),
    ("configman.value_sources", dispatch_to_the_writers_of_now),
)
