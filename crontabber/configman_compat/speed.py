"""Which of configman's methods are slow enough to be replaced: those that go through all options, again and again.

None of it changes what comes out; a test compares.
"""

from __future__ import annotations

from types import ModuleType

from crontabber.configman_compat import containers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def overlay_once(config_manager: ModuleType) -> None:
    """See overlay.py, which can be imported only now."""
    from crontabber.configman_compat.overlay import overlay_expand

    config_manager.ConfigurationManager._overlay_expand = overlay_expand


def check_what_is_given(config_manager: ModuleType) -> None:
    """See command_line.py, which can be imported only now."""
    from crontabber.configman_compat.command_line import check_for_mismatches

    config_manager.ConfigurationManager._check_for_mismatches = check_for_mismatches


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
    ("configman.config_manager", overlay_once),
    ("configman.config_manager", check_what_is_given),
    ("configman.value_sources.for_getopt", read_what_is_given),
)
