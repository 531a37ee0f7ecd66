"""The shell around an application: configuration, logging, signals, and the one place that turns errors into exit codes."""

import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import FrameType
from typing import Any, ClassVar

from configman import ConfigurationManager, Namespace, RequiredConfig, class_converter, command_line
from configman.config_file_future_proxy import ConfigFileFutureProxy
from configman.environment import environment

from crontabber.app_logging import LoggerWrapper, logging_required_config, setup_logger, tear_down_logger
from crontabber.connection_factory import cancel_running_statements
from crontabber.errors import AppDetailMissingError, CrontabberError, ExitCode, Interrupted
from crontabber.interruption import INTERRUPTION
from crontabber.misuse import explained

__all__ = [
    "App",
    "AppDetailMissingError",
    "LoggerWrapper",
    "environment",
    "logging_required_config",
    "main",
    "respond_to_SIGHUP",
    "setup_logger",
    "tear_down_logger",
]


class App(RequiredConfig):
    """An application: derive from it, set the three texts, write `main`, start it with the function `main`."""

    app_name: ClassVar[str] = "crontabber"
    app_version: ClassVar[str] = ""
    app_description: ClassVar[str] = ""
    # Values that this application puts beneath every other source of configuration.
    config_defaults: ClassVar[Mapping[str, Any]] = {}
    required_config = Namespace()

    def __init__(self, config: Any) -> None:
        self.config = config

    def main(self) -> int | None:
        """The work. What it returns is the exit code; None is 0."""
        raise NotImplementedError(f"{type(self).__name__} has no main()")

    @classmethod
    def before_configuration(cls, arguments: Sequence[str]) -> int | None:
        """A chance to answer from the command line alone: an exit code, or None to go on."""
        return None

    @classmethod
    def report_misuse(cls, error: CrontabberError, arguments: Sequence[str]) -> int:
        """Tell a person about an error that ends the program; the exit code."""
        for line in str(error).splitlines():
            print(f"{cls.app_name}: {line}", file=sys.stderr)
        return ExitCode.FAILED


def main(
    initial_app: Any,
    values_source_list: Sequence[Any] | None = None,
    config_path: str | None = None,
    config_manager_cls: Any = ConfigurationManager,
) -> int:
    """Configure and run an application class, or the class that a dotted name means; the exit code.

    SIGHUP has the configuration read again, and the application started over, once the running job is done.
    """
    app_class = class_converter(initial_app)
    arguments = sys.argv[1:]
    with INTERRUPTION.answered(cancel_running_statements):
        try:
            exit_code = app_class.before_configuration(arguments)
            while exit_code is None or INTERRUPTION.restart:
                INTERRUPTION.restart = False
                exit_code = _run_once(app_class, values_source_list, config_path, config_manager_cls)
        except Interrupted as error:
            exit_code = 128 + error.signum
        except Exception as error:
            logging.getLogger(app_class.app_name).debug("this ended the program", exc_info=True)
            exit_code = app_class.report_misuse(explained(error), arguments)
        return exit_code if INTERRUPTION.signum is None else 128 + INTERRUPTION.signum


def respond_to_SIGHUP(signal_number: int, frame: FrameType | None, logger: Any = None) -> None:
    """The handler of SIGHUP: have the configuration read again after the running job."""
    INTERRUPTION.restart = True
    if logger:
        logger.info("SIGHUP: the configuration will be read again")


def _run_once(
    app_class: type[App], values_source_list: Sequence[Any] | None, config_path: str | None, config_manager_cls: Any
) -> int:
    manager = _configuration(app_class, values_source_list, config_path, config_manager_cls)
    with manager.context() as config:
        try:
            app = config.application(config)
            manager.log_config(_AtDebug(config.logger))
            return app.main() or ExitCode.DONE
        finally:
            tear_down_logger(app_class.app_name)


def _configuration(
    app_class: type[App], values_source_list: Sequence[Any] | None, config_path: str | None, config_manager_cls: Any
) -> Any:
    if not (app_class.app_name and isinstance(app_class.app_description, str)):
        raise AppDetailMissingError(f"{app_class.__name__} has no app_name or app_description")
    definition = Namespace()
    definition.add_option(
        "application", default=app_class, from_string_converter=class_converter, doc="the class of the application"
    )
    definition.update(logging_required_config(app_class.app_name))
    definition.add_aggregation("logger", partial(setup_logger, app_class.app_name))
    sources = list(values_source_list or (ConfigFileFutureProxy, environment, command_line))
    if app_class.config_defaults:
        sources.insert(0, app_class.config_defaults)
    return config_manager_cls(
        definition,
        values_source_list=sources,
        app_name=app_class.app_name,
        app_version=app_class.app_version,
        app_description=app_class.app_description,
        config_pathname=config_path or os.curdir,
    )


class _AtDebug:
    """A logger for log_config, which knows `info` alone."""

    def __init__(self, logger: Any) -> None:
        self.info: Callable[..., None] = logger.debug
