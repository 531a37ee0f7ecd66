"""Where log messages go: stderr for people, syslog for the machine.

A tick that has nothing to say does without the module logging, whose import takes 4 ms.
"""

import sys
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

from configman import Namespace

from crontabber.output.secrets import SecretMask

REFERENCE = "resource.logging"

# As in logging.
DEBUG, INFO, WARNING, ERROR, CRITICAL = 10, 20, 30, 40, 50

STDERR_FORM = "{asctime} {levelname} - {message}"
SYSLOG_FORM = " (pid {process}): {levelname} - {message}"


def logging_required_config(app_name: str) -> Namespace:
    """The options of logging, in a namespace `logging`."""
    required_config = Namespace()
    options = required_config.namespace("logging")
    options.add_option(
        "stderr_error_logging_level", default=INFO, from_string_converter=logging_level,
        reference_value_from=REFERENCE,
        doc="log to stderr from this level on (10 DEBUG, 20 INFO, 30 WARNING, 40 ERROR, 50 CRITICAL)",
    )
    options.add_option(
        "stderr_line_format_string", default=STDERR_FORM, from_string_converter=line_format,
        reference_value_from=REFERENCE,
        doc="the form of a line on stderr; {asctime}, {levelname}, {message} and the other attributes of a record",
    )
    options.add_option(
        "syslog_error_logging_level", default=ERROR, from_string_converter=logging_level,
        reference_value_from=REFERENCE,
        doc="log to syslog from this level on, on a machine that has one; above 50 it is off",
    )
    options.add_option(
        "syslog_line_format_string", default=f"{app_name}{SYSLOG_FORM}",
        from_string_converter=line_format, reference_value_from=REFERENCE, doc="the form of a line in syslog",
    )
    options.add_option("syslog_host", default="localhost", reference_value_from=REFERENCE,
                       doc="the host of syslog; localhost means this machine's own socket, if it has one")
    options.add_option("syslog_port", default=514, from_string_converter=_port, reference_value_from=REFERENCE,
                       doc="the UDP port of syslog")
    options.add_option("syslog_facility_string", default="user", from_string_converter=_facility,
                       reference_value_from=REFERENCE, doc="the facility that syslog files the lines under")
    return required_config  # fmt: skip


def logging_level(text: str) -> int:
    """A level by its number or its name. ValueError says what is wanted."""
    import logging

    level = logging.getLevelName(text.strip().upper())
    if not isinstance(level, int):
        level = int(text) if text.strip().isdecimal() else -1
    if level < 0:
        raise ValueError("a level is wanted: DEBUG, INFO, WARNING, ERROR, CRITICAL, or a number")
    return level


def line_format(text: str) -> str:
    """A format string that a line can be made with. ValueError says what is wrong with it."""
    if text == STDERR_FORM or _is_syslog_form(text):
        return text
    import logging

    from crontabber.output.handlers import formatter

    record = logging.LogRecord("", INFO, "", 0, "", None, None)
    try:
        formatter(text).format(record)
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise ValueError(f"no line can be made with it ({type(error).__name__}: {error})") from error
    return text


def setup_logger(app_name: str, config: Any, local_unused: Any = None, args_unused: Any = None) -> "LoggerWrapper":
    """The logger `app_name`, with its handlers as `config.logging` says. A configman aggregation."""
    tear_down_logger(app_name)
    make = partial(_logger, app_name, config.logging, SecretMask(config))
    # Whoever has imported logging may ask it for this logger by its name.
    if "logging" in sys.modules:
        return LoggerWrapper(make(), config)
    return LoggerWhenHeard(make, lowest_level(config.logging), config)


def tear_down_logger(app_name: str) -> None:
    """Take the handlers away that `setup_logger` has set."""
    if "logging" not in sys.modules:
        return
    import logging

    logger = logging.getLogger(app_name)
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()


def lowest_level(options: Any) -> int:
    """What is below it nobody hears."""
    return min(options.stderr_error_logging_level, options.syslog_error_logging_level)


class LoggerWrapper:
    """The logger that jobs see as `config.logger`. In an application with several threads each line says whose it is,
    when `config.executor_identity` is a function that tells."""

    def __init__(self, logger: Any, config: Any) -> None:
        self.logger = logger
        self.config = config

    def __getattr__(self, name: str) -> Any:
        return getattr(self.logger, name)

    def executor_identity(self) -> str:
        identity = self.config.get("executor_identity") if self.config is not None else None
        return f"- {identity()} - " if callable(identity) else ""

    def debug(self, message: Any, *args: Any, **kwargs: Any) -> None:
        self._log(DEBUG, message, args, kwargs)

    def info(self, message: Any, *args: Any, **kwargs: Any) -> None:
        self._log(INFO, message, args, kwargs)

    def warning(self, message: Any, *args: Any, **kwargs: Any) -> None:
        self._log(WARNING, message, args, kwargs)

    def error(self, message: Any, *args: Any, **kwargs: Any) -> None:
        self._log(ERROR, message, args, kwargs)

    def critical(self, message: Any, *args: Any, **kwargs: Any) -> None:
        self._log(CRITICAL, message, args, kwargs)

    def exception(self, message: Any, *args: Any, **kwargs: Any) -> None:
        self._log(ERROR, message, args, {"exc_info": True, **kwargs})

    warn = warning

    def _is_heard(self, level: int) -> bool:
        return bool(self.logger.isEnabledFor(level))

    def _log(self, level: int, message: Any, args: Any, kwargs: Any) -> None:
        if self._is_heard(level):
            self.logger.log(level, f"{self.executor_identity()}{message}", *args, **{"stacklevel": 3, **kwargs})


class LoggerWhenHeard(LoggerWrapper):
    """One whose logger is made when somebody would hear it, or asks for it."""

    def __init__(self, make: Callable[[], Any], lowest: int, config: Any) -> None:
        self._make = make
        self._lowest = lowest
        self.config = config

    @cached_property
    def logger(self) -> Any:  # type: ignore[override]
        return self._make()

    def __getattr__(self, name: str) -> Any:
        # configman asks each of its values whether it has a close; no logger has. If this has none, making it failed.
        if name in ("close", "logger"):
            raise AttributeError(name)
        return super().__getattr__(name)

    def _is_heard(self, level: int) -> bool:
        return level >= self._lowest and super()._is_heard(level)


def _logger(app_name: str, options: Any, mask: Callable[[str], str]) -> Any:
    import logging

    from crontabber.output.handlers import add_handlers

    logger = logging.getLogger(app_name)
    logger.propagate = False
    add_handlers(logger, options, mask)
    # What nobody hears is not put together.
    logger.setLevel(lowest_level(options))
    return logger


def _is_syslog_form(text: str) -> bool:
    """The default one, beginning with the name of an application that is no form itself."""
    name = text.removesuffix(SYSLOG_FORM)
    return name != text and not any(character in name for character in "{}%")


def _port(text: str) -> int:
    port = int(text) if text.strip().isdecimal() else 0
    if not 1 <= port <= 65535:
        raise ValueError("a port is wanted, 1 to 65535")
    return port


def _facility(text: str) -> str:
    if text == "user":  # the default: what follows takes 6 ms
        return text
    from logging.handlers import SysLogHandler

    if text not in SysLogHandler.facility_names:
        raise ValueError(f"a facility is wanted: {', '.join(sorted(SysLogHandler.facility_names))}")
    return text
