"""Explain any error that can end the program to the person who started it."""

from collections.abc import Callable

import psycopg2
from configman.config_exceptions import CannotConvertError, ConfigmanException

from crontabber.errors import CrontabberError, JobsSettingError
from crontabber.rules.text import one_line, printable
from crontabber.store.driver_errors import explained as explained_by_driver

# A message has at most this many lines: whoever has more faults can fix these first.
MOST_LINES = 10


def explained(error: Exception) -> CrontabberError:
    """Return `error` itself if its text is meant for people, otherwise one that says the same in words."""
    if isinstance(error, CrontabberError):
        return error
    said = one_line(str(error))
    if isinstance(error, CannotConvertError):
        return CrontabberError(f"configuration: {said}")
    if isinstance(error, ConfigmanException):
        return CrontabberError(f"{said}: see --help")
    if isinstance(error, psycopg2.Error):
        return explained_by_driver(error)
    if isinstance(error, OSError):
        if error.strerror is None:  # From configman: its text is only the name of a configuration file.
            return CrontabberError(f"{said}: no such configuration file or module")
        return CrontabberError(f"{error.filename or ''}: {error.strerror}".lstrip(": "))
    return CrontabberError(
        f"unexpected {type(error).__name__}: {said} (--logging.stderr_error_logging_level=10 shows where)"
    )


def masked(error: CrontabberError, mask: Callable[[str], str]) -> CrontabberError:
    """Return the same error with secrets masked in its text."""
    if isinstance(error, JobsSettingError):
        return type(error)(*map(mask, error.faults))
    return CrontabberError(mask(str(error)))


def message_for(app_name: str, error: CrontabberError, most_lines: int = MOST_LINES) -> str:
    """Return the text of an error, each line prefixed with the name of the program, and cut to `most_lines`."""
    lines = printable(str(error), "\n\t").splitlines() or [type(error).__name__]
    if len(lines) > most_lines:
        lines[most_lines - 1 :] = [f"... and {len(lines) - most_lines + 1} more"]
    return "\n".join(f"{app_name}: {line}" for line in lines)
