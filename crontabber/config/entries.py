"""Split the text of the `jobs` setting into entries, and an entry into its class, schedule and time zone."""

import re
from datetime import tzinfo
from typing import Any

from configman import Namespace
from configman.option import Option

from crontabber.config.definitions import copied
from crontabber.errors import JobDescriptionError, TimeZoneError
from crontabber.rules.cron import is_cron

FORM = "module.Class|FREQUENCY or module.Class|FREQUENCY|HH:MM"

_FREQUENCY = Option(
    "frequency", default="", from_string_converter=str,
    doc="how often it runs, such as 5m, 12h or 7d, or a cron expression",
)  # fmt: skip
_TIME = Option(
    "time", default="", from_string_converter=str,
    doc="at what time of day it runs: HH:MM, in its own time zone if it has one, else in that of the PostgreSQL server",
)  # fmt: skip
_ZONE = Option(
    "timezone", default="", from_string_converter=str, doc="the time zone of its time of day or cron expression"
)

# Not a comma within a cron expression: what follows it could not begin an entry.
_SEPARATOR = re.compile(
    r"[\n;]|,(?!(?:[0-9]+L?|\*|LW?|MON|TUE|WED|THU|FRI|SAT|SUN|JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC)"
    r"(?:[\s,;/|#-]|$))",
    re.IGNORECASE,
)


def line_splitter(text: str) -> list[str]:
    """Split the setting at newlines, commas and semicolons. Lines that begin with # are comments."""
    lines = [line for line in text.strip().strip("'\"").splitlines() if not line.lstrip().startswith("#")]
    return [entry.strip() for entry in _SEPARATOR.split("\n".join(lines)) if entry.strip()]


def pipe_splitter(entry: str) -> str:
    """Return the class path of an entry."""
    return entry.split("|", 1)[0].strip()


def get_extra_as_options(entry: str) -> Namespace:
    """Return the rest of an entry as the options `frequency` and `time`, and `timezone` if it has one.
    JobDescriptionError if it is malformed."""
    parts = [part.strip() for part in entry.split("|")]
    if len(parts) < 2 or not parts[1]:
        raise JobDescriptionError(f"jobs: {entry!r} has no frequency: expected {FORM}")
    zone = _take_zone(parts)
    if len(parts) > 3:
        raise JobDescriptionError(f"jobs: {entry!r} has too many parts: expected {FORM}")
    frequency, time = parts[1], parts[2] if len(parts) == 3 else ""
    if ":" in frequency and not time:
        frequency, time = "1d", frequency
    options = Namespace()
    for prototype, text in ((_FREQUENCY, frequency), (_TIME, time), (_ZONE, zone)):
        if text or prototype is not _ZONE:
            option = options[prototype.name] = copied(prototype)
            option.default = option.value = text
    if zone:
        _check_zone(entry, zone)
    return options


def zone_of_entry(job_config: Any) -> tzinfo:
    """Return the time zone in the options of a job whose entry has one. TimeZoneError if it is unknown."""
    return _zone_called(job_config.timezone)


def _take_zone(parts: list[str]) -> str:
    """Remove the time zone from the parts of an entry and return it: it follows a time of day or a cron expression."""
    is_last = len(parts) == 3 and (is_cron(parts[1]) or (":" in parts[1] and ":" not in parts[2]))
    return parts.pop() if parts[-1] and (is_last or (len(parts) == 4 and ":" in parts[2])) else ""


def _check_zone(entry: str, name: str) -> None:
    try:
        _zone_called(name)
    except TimeZoneError as error:
        raise JobDescriptionError(f"jobs: {entry!r}: {error}") from None


def _zone_called(name: str) -> tzinfo:
    from crontabber.rules.time_zone import configured_zone  # zoneinfo takes 2 ms to import

    return configured_zone(name)
