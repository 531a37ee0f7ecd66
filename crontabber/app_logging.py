"""Where log messages go: stderr for people, syslog for the machine."""

import logging
import os
import sys
from collections.abc import Callable
from typing import Any

from configman import Namespace

from crontabber.secret_mask import SecretMask
from crontabber.standard_streams import STATUS_LINE

REFERENCE = "resource.logging"


def logging_required_config(app_name: str) -> Namespace:
    """The options of logging, in a namespace `logging`."""
    required_config = Namespace()
    options = required_config.namespace("logging")
    options.add_option(
        "stderr_error_logging_level", default=logging.INFO, from_string_converter=logging_level,
        reference_value_from=REFERENCE,
        doc="log to stderr from this level on (10 DEBUG, 20 INFO, 30 WARNING, 40 ERROR, 50 CRITICAL)",
    )
    options.add_option(
        "stderr_line_format_string", default="{asctime} {levelname} - {message}", from_string_converter=line_format,
        reference_value_from=REFERENCE,
        doc="the form of a line on stderr; {asctime}, {levelname}, {message} and the other attributes of a record",
    )
    options.add_option(
        "syslog_error_logging_level", default=logging.ERROR, from_string_converter=logging_level,
        reference_value_from=REFERENCE,
        doc="log to syslog from this level on, on a machine that has one; above 50 it is off",
    )
    options.add_option(
        "syslog_line_format_string", default=f"{app_name} (pid {{process}}): {{levelname}} - {{message}}",
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
    level = logging.getLevelName(text.strip().upper())
    if not isinstance(level, int):
        level = int(text) if text.strip().isdecimal() else -1
    if level < 0:
        raise ValueError("a level is wanted: DEBUG, INFO, WARNING, ERROR, CRITICAL, or a number")
    return level


def line_format(text: str) -> str:
    """A format string that a line can be made with. ValueError says what is wrong with it."""
    record = logging.LogRecord("", logging.INFO, "", 0, "", None, None)
    try:
        _formatter(text).format(record)
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise ValueError(f"no line can be made with it ({type(error).__name__}: {error})") from error
    return text


def setup_logger(app_name: str, config: Any, local_unused: Any = None, args_unused: Any = None) -> "LoggerWrapper":
    """The logger `app_name`, with its handlers as `config.logging` says. A configman aggregation."""
    logger = logging.getLogger(app_name)
    tear_down_logger(app_name)
    logger.propagate = False
    options = config.logging
    mask = SecretMask(config)
    handlers: list[tuple[logging.Handler, int, str]] = [
        (_Stderr(), options.stderr_error_logging_level, options.stderr_line_format_string),
        (_Syslog(options), options.syslog_error_logging_level, options.syslog_line_format_string),
    ]
    for handler, level, form in handlers:
        handler.setLevel(level)
        handler.setFormatter(_MaskingFormatter(_formatter(form), mask))
        logger.addHandler(handler)
    # What nobody hears is not put together.
    logger.setLevel(min(level for _, level, _ in handlers))
    return LoggerWrapper(logger, config)


def tear_down_logger(app_name: str) -> None:
    """Take the handlers away that `setup_logger` has set."""
    logger = logging.getLogger(app_name)
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
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
            self.logger.log(level, f"{self.executor_identity()}{message}", *args, **{"stacklevel": 3, **kwargs})


class _MaskingFormatter(logging.Formatter):
    """No secret leaves it, and a message that cannot be put together is shown in its parts."""

    def __init__(self, formatter: logging.Formatter, mask: Callable[[str], str]) -> None:
        super().__init__()
        self._formatter = formatter
        self._mask = mask

    def format(self, record: logging.LogRecord) -> str:
        try:
            text = self._formatter.format(record)
        except Exception as error:
            place = f"{record.pathname}:{record.lineno}"
            text = f"{record.levelname} - {record.msg!r} {record.args!r} (no message, at {place}: {error})"
        return self._mask(text)


def _formatter(form: str) -> logging.Formatter:
    """Either style of format string."""
    return logging.Formatter(form, style="%" if "%(" in form else "{")


class _Stderr(logging.StreamHandler):  # type: ignore[type-arg]
    """Where stderr is closed or full, the work goes on in silence."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)

    def emit(self, record: logging.LogRecord) -> None:
        if self.stream is not None:
            with STATUS_LINE.out_of_the_way():
                super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:
        pass


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
