"""The logger: stderr for people, syslog for the machine.

A tick that logs nothing does not import the module logging, which takes 4 ms.
"""

import sys
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

from crontabber.output.secrets import SecretMask

# As in the module logging.
DEBUG, INFO, WARNING, ERROR, CRITICAL = 10, 20, 30, 40, 50


def setup_logger(app_name: str, config: Any, local_unused: Any = None, args_unused: Any = None) -> "LoggerWrapper":
    """Return the logger `app_name` with the handlers of `config.logging`. A configman aggregation."""
    tear_down_logger(app_name)
    make = partial(_logger, app_name, config.logging, SecretMask(config))
    # Code that has imported logging may ask it for this logger by name.
    if "logging" in sys.modules:
        return LoggerWrapper(make(), config)
    return LateLoggerWrapper(make, lowest_level(config.logging), config)


def tear_down_logger(app_name: str) -> None:
    """Remove the handlers that `setup_logger` added."""
    if "logging" not in sys.modules:
        return
    import logging

    logger = logging.getLogger(app_name)
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()


def lowest_level(options: Any) -> int:
    """Return the lowest level that any handler emits."""
    return min(options.stderr_error_logging_level, options.syslog_error_logging_level)


class LoggerWrapper:
    """The logger that jobs see as `config.logger`.

    If `config.executor_identity` is a function, each line begins with what it returns: in an application with several
    threads, the name of the thread.
    """

    # Its lines and those about failed jobs reach the same handlers.
    belongs_to_crontabber = True

    def __init__(self, logger: Any, config: Any) -> None:
        self.logger = logger
        self.config = config

    def __getattr__(self, name: str) -> Any:
        return getattr(self.logger, name)

    def executor_identity(self) -> str:
        identity = self.config.get("executor_identity") if self.config is not None else None
        return f"{identity()} - " if callable(identity) else ""

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

    def _is_emitted(self, level: int) -> bool:
        return bool(self.logger.isEnabledFor(level))

    def _log(self, level: int, message: Any, args: Any, kwargs: Any) -> None:
        if self._is_emitted(level):
            self.logger.log(level, f"{self.executor_identity()}{message}", *args, **{"stacklevel": 3, **kwargs})


class LateLoggerWrapper(LoggerWrapper):
    """A wrapper whose logger is created when a message would be emitted, or when code asks for it."""

    def __init__(self, make: Callable[[], Any], lowest: int, config: Any) -> None:
        self._make = make
        self.lowest = lowest
        self.config = config

    @cached_property
    def logger(self) -> Any:  # type: ignore[override]
        return self._make()

    def __getattr__(self, name: str) -> Any:
        # configman looks for `close` on each of its values; loggers have none. `logger` is missing if making it failed.
        if name in ("close", "logger"):
            raise AttributeError(name)
        return super().__getattr__(name)

    def _is_emitted(self, level: int) -> bool:
        return level >= self.lowest and super()._is_emitted(level)


def engine_logger(logger: Any) -> Any:
    """Return a logger for crontabber's own lines about jobs. The calls of `config.logger` itself belong to the jobs.

    It is a child of `logger`, and so has the same handlers. Where `logger` is something else, such as a test's mock,
    it gets our lines too, but never with `info`: tests look at the last `info` of their job.
    """
    if isinstance(logger, LateLoggerWrapper):
        return LateLoggerWrapper(lambda: _child(logger.logger), logger.lowest, logger.config)
    if isinstance(logger, LoggerWrapper):
        return LoggerWrapper(_child(logger.logger), logger.config)
    return LoggerWrapper(_child(logger), None) if _is_logger(logger) else _NeverInfo(logger)


class _NeverInfo:
    def __init__(self, logger: Any) -> None:
        self.info = logger.debug
        self.debug, self.warning, self.error = logger.debug, logger.warning, logger.error


def _child(logger: Any) -> Any:
    if not _is_logger(logger):
        return _NeverInfo(logger)
    child = logger.getChild("engine")
    if child.parent is not logger:  # It was made without getLogger(), so its children are those of another one.
        child = type(child)(child.name)
        child.parent = logger
    return child


def _is_logger(logger: Any) -> bool:
    import logging

    # Not isinstance: a mock may claim to be one.
    return issubclass(type(logger), logging.Logger)


def _logger(app_name: str, options: Any, mask: Callable[[str], str]) -> Any:
    import logging

    from crontabber.output.handlers import add_handlers

    logger = logging.getLogger(app_name)
    logger.propagate = False
    add_handlers(logger, options, mask)
    # Messages below it are not formatted.
    logger.setLevel(lowest_level(options))
    return logger
