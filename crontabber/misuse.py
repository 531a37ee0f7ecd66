"""Any error that can end the program, as a sentence for the person who started it."""

from configman.config_exceptions import CannotConvertError, NotAnOptionError

from crontabber.errors import CrontabberError


def explained(error: Exception) -> CrontabberError:
    """`error` itself if its text is meant for people, else one that says the same in words."""
    if isinstance(error, CrontabberError):
        return error
    if isinstance(error, NotAnOptionError):
        return CrontabberError(f"{error}: see --help")
    if isinstance(error, CannotConvertError):
        return CrontabberError(f"configuration: {error}")
    if isinstance(error, OSError):
        return CrontabberError(f"{error.filename or ''}: {error.strerror or error}".lstrip(": "))
    said = " ".join(str(error).split())
    return CrontabberError(
        f"unexpected {type(error).__name__}: {said} (--logging.stderr_error_logging_level=10 shows where)"
    )
