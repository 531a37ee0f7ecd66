"""Run an application: configure it, set up logging and signals, turn errors into exit codes."""

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, nullcontext, suppress
from functools import partial
from types import FrameType
from typing import Any, ClassVar, NoReturn

from configman import ConfigurationManager, Namespace, RequiredConfig, class_converter
from configman.environment import environment

from crontabber.config.command_line import asks_for, option_given
from crontabber.config.configure import configuration, help_without_configuration
from crontabber.config.logging_options import logging_level, logging_required_config
from crontabber.errors import AppDetailMissingError, CrontabberError, ExitCode, Interrupted, OutputError
from crontabber.output.logger import DEBUG, LoggerWrapper, lowest_level, setup_logger, tear_down_logger
from crontabber.output.messages import explained, masked, message_for
from crontabber.output.secrets import SecretMask, mask_of
from crontabber.process import streams
from crontabber.process.collector import gc_paused, unfreeze
from crontabber.process.forking import end_like_a_program
from crontabber.process.signals import INTERRUPTION
from crontabber.store.patrol import patrol

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
    """An application: subclass it, set the three texts, write `main`, and start it with the function `main`."""

    app_name: ClassVar[str] = "crontabber"
    app_version: ClassVar[str] = ""
    app_description: ClassVar[str] = ""
    # Values of this application that every other source of configuration overrides.
    config_defaults: ClassVar[Mapping[str, Any]] = {}
    required_config = Namespace()

    def __init__(self, config: Any) -> None:
        self.config = config

    def main(self) -> int | None:
        """Do the work. Return the exit code; None means 0."""
        raise NotImplementedError(f"{type(self).__name__} has no main()")

    @classmethod
    def is_silent(cls, arguments: Sequence[str]) -> bool:
        """True if nothing may be written but the answer itself."""
        return False

    @classmethod
    def before_configuration(cls, arguments: Sequence[str]) -> int | None:
        """Answer from the command line alone, if possible. Return an exit code, or None to go on."""
        return None

    @classmethod
    def report_misuse(cls, error: CrontabberError, arguments: Sequence[str]) -> int:
        """Print an error that ends the program. Return the exit code."""
        streams.say(message_for(cls.app_name, error))
        return ExitCode.FAILED


def main(
    initial_app: Any,
    values_source_list: Sequence[Any] | None = None,
    config_path: str | None = None,
    config_manager_cls: Any = ConfigurationManager,
) -> int:
    """Configure and run an application, given by class or dotted name. Return the exit code.

    After a SIGHUP, once the running job is done, the configuration is reloaded and the application started again.
    """
    streams.prepare()
    app_class = class_converter(initial_app)
    configure = partial(configuration, app_class, values_source_list, config_path, config_manager_cls)
    silent = app_class.is_silent(sys.argv[1:])
    with streams.silenced(stderr=True) if silent else nullcontext(), INTERRUPTION.handled(patrol):
        exit_code = _Shell(app_class, configure, sys.argv[1:], silent).exit_code()
    return exit_code if INTERRUPTION.signum is None else 128 + INTERRUPTION.signum


def respond_to_SIGHUP(signal_number: int, frame: FrameType | None, logger: Any = None) -> None:
    """Handle SIGHUP: have the configuration reloaded after the running job."""
    INTERRUPTION.restart = True
    if logger:
        logger.info("SIGHUP: the configuration will be reloaded")


class _Shell:
    """One call of the command: an application, its configuration and its arguments."""

    def __init__(
        self, app_class: type[App], configure: Callable[[], Any], arguments: Sequence[str], silent: bool
    ) -> None:
        self._app_class = app_class
        self._configure = configure
        self._arguments = arguments
        self._silent = silent
        # Before the configuration is known, only what looks like a secret can be masked.
        self._mask: Callable[[str], str] = mask_of()

    def exit_code(self) -> int:
        """Run it and return the exit code."""
        return self._exit_code_of(self._run)

    def run_as_program(self, work: Callable[[], int], has_timed_out: Callable[[], bool]) -> NoReturn:
        """Do `work` in a forked child, which then ends like a program: what our callers still have to do is not its
        own. After a job `has_timed_out`, a thread of it may run for ever."""
        exit_code = self._exit_code_of(work)
        exit_code = exit_code if INTERRUPTION.signum is None else 128 + INTERRUPTION.signum
        end_like_a_program(exit_code, with_threads=not has_timed_out())

    def _exit_code_of(self, work: Callable[[], int]) -> int:
        """Return the exit code of `work`. Every error ends here, with a short message."""
        try:
            with INTERRUPTION.allowed():
                exit_code = work()
            streams.finish()
        except Interrupted as error:
            exit_code = 128 + error.signum
        except BrokenPipeError:
            # The reader of our output has ended early, as `head -1` does: nobody is left to tell.
            exit_code = ExitCode.FAILED
        except Exception as error:
            exit_code = ExitCode.FAILED
            if INTERRUPTION.signum is None:  # Otherwise the signal caused it.
                exit_code = self._app_class.report_misuse(masked(explained(error), self._mask), self._arguments)
        with suppress(OutputError, BrokenPipeError):
            streams.finish()
        return exit_code

    def _run(self) -> int:
        exit_code = self._app_class.before_configuration(self._arguments)
        while exit_code is None or INTERRUPTION.restart:
            INTERRUPTION.restart = False
            unfreeze()
            try:
                with gc_paused():
                    manager = self._manager()
            except SystemExit:
                return ExitCode.DONE  # configman has printed or written what it was asked for.
            exit_code = self._run_configured(manager)
        return exit_code

    def _manager(self) -> Any:
        """Load the configuration. In silent modes, what job modules print while they are imported is discarded."""
        try:
            with streams.silenced(stdout=True) if self._silent else nullcontext():
                return self._configure()
        except Exception as error:
            self._show_traceback()
            if isinstance(error, (OutputError, BrokenPipeError)) or not asks_for(self._arguments, "help"):
                raise
            reasons = str(masked(explained(error), self._mask)).splitlines()
            streams.say(message_for(self._app_class.app_name, CrontabberError(_without_configuration(reasons))))
        return help_without_configuration(self._app_class)

    def _run_configured(self, manager: Any) -> int:
        with ExitStack() as stack:
            with gc_paused():
                config = stack.enter_context(manager.context())
            self._mask = SecretMask(config)
            try:
                for sentence in manager.warnings:
                    config.logger.warning("%s", sentence)
                app = config.application(config)
                app.config_manager, app.shell = manager, self
                if lowest_level(config.logging) <= DEBUG:
                    manager.log_config(_AtDebug(config.logger))
                    if manager.jobs_error:
                        config.logger.debug("the first broken entry", exc_info=manager.jobs_error)
                return app.main() or ExitCode.DONE
            except Exception:
                config.logger.debug("unhandled error", exc_info=True)
                raise
            finally:
                tear_down_logger(self._app_class.app_name)

    def _show_traceback(self) -> None:
        """Print the traceback if the command line asks for DEBUG: there is no logger yet."""
        asked = option_given(self._arguments, "logging.stderr_error_logging_level")
        with suppress(ValueError):
            if asked and logging_level(asked) <= DEBUG:
                import traceback

                streams.say(self._mask(traceback.format_exc()))


class _AtDebug:
    """Pass what log_config logs with `info` to `debug`."""

    def __init__(self, logger: Any) -> None:
        self.info: Callable[..., None] = logger.debug


def _without_configuration(reasons: Sequence[str]) -> str:
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    return f"cannot read the configuration, so this is the help without it: {reasons[0]}{more}"
