"""Configure an application: which sources are read, which options it has, what a mistake in them is called."""

import os
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

from configman import ConfigurationManager, Namespace, class_converter, command_line
from configman.config_file_future_proxy import ConfigFileFutureProxy
from configman.environment import environment
from configman.value_sources.source_exceptions import UnknownFileExtensionException, ValueException

from crontabber.config.command_line import check_for_empty_arguments, option_given
from crontabber.config.config_file import check_config_file
from crontabber.config.logging_options import logging_required_config
from crontabber.config.manager import ManagerMixin
from crontabber.errors import AppDetailMissingError, ConfigurationError
from crontabber.output.logger import setup_logger
from crontabber.rules.text import one_line


def configuration(
    app_class: Any, values_source_list: Sequence[Any] | None, config_path: str | None,
    config_manager_cls: Any = ConfigurationManager,
) -> Any:  # fmt: skip
    """Return the manager of an application's configuration. ConfigurationError and JobsSettingError say what is wrong.

    Its `warnings` are sentences about options that may be mistakes. SystemExit after --help and the like.
    """
    if not (app_class.app_name and isinstance(app_class.app_description, str)):
        raise AppDetailMissingError(f"{app_class.__name__} has no app_name or app_description")
    check_for_empty_arguments(sys.argv[1:])
    sources = list(values_source_list or (ConfigFileFutureProxy, environment, command_line))
    # A class of another framework, mixed with CronTabberBase, may have none.
    if defaults := getattr(app_class, "config_defaults", None):
        sources.insert(0, defaults)
    path = _config_file(app_class, config_path) if ConfigFileFutureProxy in sources else None
    try:
        return _manager(app_class, sources, config_path or os.curdir, config_manager_cls, config_file=path)
    except UnknownFileExtensionException as error:
        form = str(error).partition(" ")[0]
        raise ConfigurationError(
            f"unknown configuration format {form!r}: use ini, json, conf or env (with --admin.dump_conf, as the ending"
            " of the file name)"
        ) from error
    except ValueException as error:
        raise ConfigurationError(one_line(str(error))) from error


def help_without_configuration(app_class: Any) -> Any:
    """Print the help that needs no configuration, and raise SystemExit like any other."""
    return _manager(app_class, [command_line], os.curdir, ConfigurationManager, argv_source=["--help"])


def _manager(
    app_class: Any, sources: list[Any], config_path: str, config_manager_cls: Any, **more: Any
) -> Any:  # fmt: skip
    definition = Namespace()
    definition.add_option(
        "application", default=app_class, from_string_converter=class_converter, doc="the class of the application"
    )
    definition.update(logging_required_config(app_class.app_name))
    definition.add_aggregation("logger", partial(setup_logger, app_class.app_name))
    keeps = {"reports_broken_entries": hasattr(app_class, "configured_jobs")}
    return type("Manager", (ManagerMixin, config_manager_cls), keeps)(
        definition,
        values_source_list=sources,
        app_name=app_class.app_name,
        app_version=app_class.app_version,
        app_description=app_class.app_description,
        config_pathname=config_path,
        **more,
    )


def _config_file(app_class: Any, config_path: str | None) -> str:
    """Return the path of the configuration file. The default one may be missing."""
    default = config_path or os.curdir
    if os.path.isdir(default):
        default = os.path.join(default, f"{app_class.app_name}.ini")
    given = option_given(sys.argv[1:], "admin.conf")
    check_config_file(given, default)
    return default if given is None else given
