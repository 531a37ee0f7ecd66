"""Which of configman's methods are slow enough to be replaced: those that go through all options, again and again.

None of it changes what comes out; a test compares.
"""

from __future__ import annotations

import sys
from functools import wraps
from types import ModuleType

from crontabber.configman_compat import containers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def find_what_is_loaded(converters: ModuleType) -> None:
    """The name of a class is first tried as a module's, which takes longer than all the rest of reading an option.

    In a loaded module that is no package, it can only be the class.
    """
    import_and_find = converters.str_to_python_object

    @wraps(import_and_find)
    def str_to_python_object(input_str: Any) -> Any:
        if isinstance(input_str, str):
            module_name, _, name = input_str.rpartition(".")
            module = sys.modules.get(module_name)
            if module is not None and not hasattr(module, "__path__") and hasattr(module, name):
                return getattr(module, name)
        return import_and_find(input_str)

    for type_, converter in converters.from_string_converters.items():
        if converter is import_and_find:
            converters.from_string_converters[type_] = str_to_python_object
    vars(converters).update(str_to_python_object=str_to_python_object, class_converter=str_to_python_object)


def overlay_once(config_manager: ModuleType) -> None:
    """See overlay.py, which can be imported only now."""
    from crontabber.configman_compat.overlay import overlay_expand

    config_manager.ConfigurationManager._overlay_expand = overlay_expand


def check_what_is_given(config_manager: ModuleType) -> None:
    """See command_line.py, which can be imported only now."""
    from crontabber.configman_compat.command_line import check_for_mismatches

    config_manager.ConfigurationManager._check_for_mismatches = check_for_mismatches


def walk_configs_in_haste(config_manager: ModuleType) -> None:
    """See configs.py, which can be imported only now."""
    from crontabber.configman_compat import configs

    manager = config_manager.ConfigurationManager
    manager._walk_config_copy_values, manager._aggregate = configs.walk_config_copy_values, configs.aggregate
    manager.get_config = configs.get_config
    manager._walk_and_close = staticmethod(configs.walk_and_close)


def read_what_is_given(for_getopt: ModuleType) -> None:
    """See command_line.py, which can be imported only now."""
    from crontabber.configman_compat.command_line import get_values, long_options

    create_all = for_getopt.ValueSource.getopt_create_opts

    def getopt_create_opts(self: Any, option_definitions: Any) -> Any:
        options = long_options(self.argv_source, option_definitions)
        return create_all(self, option_definitions) if options is None else ("", options)

    for_getopt.ValueSource.get_values = get_values
    for_getopt.ValueSource.getopt_create_opts = getopt_create_opts


COVERS: tuple[tuple[str, Callable[[ModuleType], None]], ...] = (
    *containers.COVERS,
    ("configman.converters", find_what_is_loaded),
    ("configman.config_manager", overlay_once),
    ("configman.config_manager", check_what_is_given),
    ("configman.config_manager", walk_configs_in_haste),
    ("configman.value_sources.for_getopt", read_what_is_given),
)
