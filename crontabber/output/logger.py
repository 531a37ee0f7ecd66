"""Where log messages go: stderr for people, syslog for the machine.

A tick that has nothing to say does without the module logging, whose import takes 4 ms.
"""

import sys
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

from crontabber.output.secrets import SecretMask

# As in logging.
DEBUG, INFO, WARNING, ERROR, CRITICAL = 10, 20, 30, 40, 50


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
