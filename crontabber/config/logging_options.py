"""The logging options and their converters."""

from configman import Namespace

from crontabber.output.logger import ERROR, INFO

REFERENCE = "resource.logging"

STDERR_FORM = "{asctime} {zone} {levelname} - {message}"
SYSLOG_FORM = " (pid {process}): {levelname} - {message}"


def logging_required_config(app_name: str) -> Namespace:
    """Return the logging options, in a namespace `logging`."""
    required_config = Namespace()
    options = required_config.namespace("logging")
    options.add_option(
        "stderr_error_logging_level", default=INFO, from_string_converter=logging_level,
        reference_value_from=REFERENCE,
        doc="the lowest level that is logged to stderr (10 DEBUG, 20 INFO, 30 WARNING, 40 ERROR, 50 CRITICAL)",
    )
    options.add_option(
        "stderr_line_format_string", default=STDERR_FORM, from_string_converter=line_format,
        reference_value_from=REFERENCE,
        doc="the format of a line on stderr: {asctime}, its {zone}, {levelname}, {message}, others of a LogRecord",
    )
    options.add_option(
        "syslog_error_logging_level", default=ERROR, from_string_converter=logging_level,
        reference_value_from=REFERENCE,
        doc="the lowest level that is logged to syslog, if the machine has one; above 50, nothing is logged",
    )
    options.add_option(
        "syslog_line_format_string", default=f"{app_name}{SYSLOG_FORM}",
        from_string_converter=line_format, reference_value_from=REFERENCE, doc="the format of a line in syslog",
    )
    options.add_option("syslog_host", default="localhost", reference_value_from=REFERENCE,
                       doc="the syslog host; localhost means the socket of this machine, if it has one")
    options.add_option("syslog_port", default=514, from_string_converter=_port, reference_value_from=REFERENCE,
                       doc="the UDP port of the syslog host")
    options.add_option("syslog_facility_string", default="user", from_string_converter=_facility,
                       reference_value_from=REFERENCE, doc="the syslog facility")
    return required_config  # fmt: skip


def logging_level(text: str) -> int:
    """Parse a level, given by number or name. ValueError says what is expected."""
    import logging

    level = logging.getLevelName(text.strip().upper())
    if not isinstance(level, int):
        level = int(text) if text.strip().isdecimal() else -1
    if level < 0:
        raise ValueError("expected DEBUG, INFO, WARNING, ERROR, CRITICAL or a number")
    return level


def line_format(text: str) -> str:
    """Check a format string. ValueError says what is wrong with it."""
    if text == STDERR_FORM or _is_syslog_form(text):
        return text
    import logging

    from crontabber.output.handlers import formatter

    record = logging.LogRecord("", INFO, "", 0, "", None, None)
    try:
        formatter(text).format(record)
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise ValueError(f"not a valid format string ({type(error).__name__}: {error})") from error
    return text


def _is_syslog_form(text: str) -> bool:
    """True for the default format, which begins with the name of the application."""
    name = text.removesuffix(SYSLOG_FORM)
    return name != text and not any(character in name for character in "{}%")


def _port(text: str) -> int:
    port = int(text) if text.strip().isdecimal() else 0
    if not 1 <= port <= 65535:
        raise ValueError("expected a port number, 1 to 65535")
    return port


def _facility(text: str) -> str:
    if text == "user":  # the default: the import takes 6 ms
        return text
    from logging.handlers import SysLogHandler

    if text not in SysLogHandler.facility_names:
        raise ValueError(f"expected one of {', '.join(sorted(SysLogHandler.facility_names))}")
    return text
