"""The handlers of the logger. Imported when the first line is logged: most ticks log none."""

import logging
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from crontabber.process.streams import STATUS_LINE


def add_handlers(logger: logging.Logger, options: Any, mask: Callable[[str], str]) -> None:
    """Add the handlers for stderr and syslog; `options` is the namespace `logging`."""
    handlers: list[tuple[logging.Handler, int, str]] = [
        (_Stderr(), options.stderr_error_logging_level, options.stderr_line_format_string),
        (_Syslog(options), options.syslog_error_logging_level, options.syslog_line_format_string),
    ]
    for handler, level, form in handlers:
        handler.setLevel(level)
        handler.setFormatter(_MaskingFormatter(formatter(form), mask))
        logger.addHandler(handler)


def formatter(form: str) -> logging.Formatter:
    """Return a formatter for a format string with % or {."""
    return _ZoneNamingFormatter(form, style="%" if "%(" in form else "{")


class _ZoneNamingFormatter(logging.Formatter):
    """Offer `zone` to the format: the name of the time zone of `asctime`, which is the host's."""

    def format(self, record: logging.LogRecord) -> str:
        record.zone = time.strftime("%Z", time.localtime(record.created))
        return super().format(record)


class _MaskingFormatter(logging.Formatter):
    """Mask secrets, and show the parts of a message that cannot be formatted."""

    def __init__(self, formatter: logging.Formatter, mask: Callable[[str], str]) -> None:
        super().__init__()
        self._formatter = formatter
        self._mask = mask

    def format(self, record: logging.LogRecord) -> str:
        try:
            text = self._formatter.format(record)
        except Exception as error:
            place = f"{record.pathname}:{record.lineno}"
            text = f"{record.levelname} - {record.msg!r} {record.args!r} (cannot be formatted, at {place}: {error})"
        return self._mask(text)


class _Stderr(logging.StreamHandler):  # type: ignore[type-arg]
    """Log to stderr; if it is closed or full, go on silently."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)

    def emit(self, record: logging.LogRecord) -> None:
        if self.stream is not None:
            with STATUS_LINE.hidden():
                super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:
        pass


class _Syslog(logging.Handler):
    """Connect to syslog at the first record, which most ticks do not have. A machine without one is not a fault."""

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
    """Connect to the socket of this machine, or to a UDP port elsewhere. Return None if there is no syslog."""
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
