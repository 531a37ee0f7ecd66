"""The time it is, and how people say how long something took."""

from datetime import date, datetime, time, timedelta, timezone

UTC = timezone.utc

# From the largest; a month is 30 days and a year 365, as people say it of the past.
_UNITS = (
    ("year", timedelta(days=365)),
    ("month", timedelta(days=30)),
    ("week", timedelta(weeks=1)),
    ("day", timedelta(days=1)),
    ("hour", timedelta(hours=1)),
    ("minute", timedelta(minutes=1)),
    ("second", timedelta(seconds=1)),
)


def utc_now() -> datetime:
    """The current time, aware, in UTC."""
    return datetime.now(UTC)


def timesince(earlier: date, later: date) -> str:
    """From one to the other in the largest unit that fits and the one below it: "1 hour, 2 minutes", "3 days".

    A date is its midnight, in the time zone of the other. Less than a second, or the wrong way round: "0 seconds".
    """
    rest = _as_datetime(later, earlier) - _as_datetime(earlier, later)
    parts: list[str] = []
    for name, unit in _UNITS:
        count = max(rest // unit, 0)
        if count:
            parts.append(f"{count} {name}" if count == 1 else f"{count} {name}s")
            rest -= count * unit
            if len(parts) == 2:
                break
        elif parts:
            break
    return ", ".join(parts) or "0 seconds"


def _as_datetime(moment: date, other: date) -> datetime:
    if isinstance(moment, datetime):
        return moment
    return datetime.combine(moment, time(), tzinfo=getattr(other, "tzinfo", None))
