"""Where log messages go: stderr for people, syslog for the machine."""

import logging
import os
import sys
from typing import Any

from configman import Namespace

from crontabber.secret_mask import SecretMask

REFERENCE = "resource.logging"


def logging_required_config(app_name: str) -> Namespace:
    """The options of logging, in a namespace `logging`."""
    required_config = Namespace()
    options = required_config.namespace("logging")
    options.add_option(
        "stderr_error_logging_level", default=logging.INFO, reference_value_from=REFERENCE,
        doc="log to stderr from this level on (10 DEBUG, 20 INFO, 30 WARNING, 40 ERROR, 50 CRITICAL)",
    )
    options.add_option(
        "stderr_line_format_string", default="{asctime} {levelname} - {message}", reference_value_from=REFERENCE,
        doc="the form of a line on stderr; {asctime}, {levelname}, {message} and the other attributes of a record",
    )
    options.add_option(
        "syslog_error_logging_level", default=logging.ERROR, reference_value_from=REFERENCE,
        doc="log to syslog from this level on, on a machine that has one; above 50 it is off",
    )
    options.add_option(
        "syslog_line_format_string", default=f"{app_name} (pid {{process}}): {{levelname}} - {{message}}",
        reference_value_from=REFERENCE,
        doc="the form of a line in syslog",
    )
    options.add_option("syslog_host", default="localhost", reference_value_from=REFERENCE,
                       doc="the host of syslog; localhost means this machine's own socket, if it has one")
    options.add_option("syslog_port", default=514, reference_value_from=REFERENCE, doc="the UDP port of syslog")
    options.add_option("syslog_facility_string", default="user", reference_value_from=REFERENCE,
                       doc="the facility that syslog files the lines under")
    return required_config  # fmt: skip


def setup_logger(app_name: str, config: Any, local_unused: Any = None, args_unused: Any = None) -> "LoggerWrapper":
    """The logger `app_name`, with its handlers as `config.logging` says. A configman aggregation."""
    logger = logging.getLogger(app_name)
    tear_down_logger(app_name)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    options = config.logging
    mask = SecretMask(config)
    for handler, level, line_format in (
        (logging.StreamHandler(sys.stderr), options.stderr_error_logging_level, options.stderr_line_format_string),
        (_Syslog(options), options.syslog_error_logging_level, options.syslog_line_format_string),
    ):
        handler.setLevel(level)
        handler.setFormatter(_MaskingFormatter(line_format, mask))
        logger.addHandler(handler)
    return LoggerWrapper(logger, config)


def tear_down_logger(app_name: str) -> None:
    """Take the handlers away that `setup_logger` has set."""
    logger = logging.getLogger(app_name)
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        if type(handler) is not logging.StreamHandler:
            handler.close()


class LoggerWrapper:
    """The logger that jobs see as `config.logger`. In an application with several threads each line says whose it is,
    when `config.executor_identity` is a function that tells."""

    def __init__(self, logger: logging.Logger, config: Any) -> None:
        self.logger = logger
        self.config = config

    def __getattr__(self, name: str) -> Any:
        return getattr(self.logger, name)

    def executor_identity(self) -> str:
        identity = self.config.get("executor_identity") if self.config is not None else None
        return f"- {identity()} - " if callable(identity) else ""

    def debug(self, message: Any, *args: Any, **kwargs: Any) -> None:
        self._log(logging.DEBUG, message, args, kwargs)

    def info(self, message: Any, *args: Any, **kwargs: Any) -> None:
        self._log(logging.INFO, message, args, kwargs)

    def warning(self, message: Any, *args: Any, **kwargs: Any) -> None:
        self._log(logging.WARNING, message, args, kwargs)

    def error(self, message: Any, *args: Any, **kwargs: Any) -> None:
        self._log(logging.ERROR, message, args, kwargs)

    def critical(self, message: Any, *args: Any, **kwargs: Any) -> None:
        self._log(logging.CRITICAL, message, args, kwargs)

    def exception(self, message: Any, *args: Any, **kwargs: Any) -> None:
        self._log(logging.ERROR, message, args, {"exc_info": True, **kwargs})

    warn = warning

    def _log(self, level: int, message: Any, args: Any, kwargs: Any) -> None:
        if self.logger.isEnabledFor(level):
            self.logger.log(level, f"{self.executor_identity()}{message}", *args, **kwargs)


class _MaskingFormatter(logging.Formatter):
    """Either style of format string; no secret leaves it."""

    def __init__(self, line_format: str, mask: SecretMask) -> None:
        super().__init__(line_format, style="%" if "%(" in line_format else "{")
        self._mask = mask

    def format(self, record: logging.LogRecord) -> str:
        return self._mask(super().format(record))


class _Syslog(logging.Handler):
    """Finds syslog at the first record: most ticks have none for it. A machine without one is no reason to fail."""

    def __init__(self, options: Any) -> None:
        super().__init__()
        self._options = options
        self._tried = False
        self._handler: logging.Handler | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if not self._tried:
            self._tried = True
            self._handler = _syslog_handler(self._options)
        if self._handler is not None:
            self._handler.setFormatter(self.formatter)
            self._handler.emit(record)

    def close(self) -> None:
        if self._handler is not None:
            self._handler.close()
        super().close()


def _syslog_handler(options: Any) -> logging.Handler | None:
    """Where syslog listens: on this machine its socket, elsewhere a UDP port. None if there is none."""
    import logging.handlers

    if options.syslog_host not in ("localhost", ""):
        address: Any = (options.syslog_host, options.syslog_port)
    elif os.path.exists("/dev/log"):
        address = "/dev/log"
    else:
        return None
    try:
        return logging.handlers.SysLogHandler(address, options.syslog_facility_string)
    except OSError:
        return None
