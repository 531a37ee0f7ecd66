"""What time is it, and how long is it from one time to another? For programs, and in words."""

from datetime import date, datetime, time, timedelta, timezone, tzinfo


class _Utc(tzinfo):
    """UTC as users know it: unlike timezone.utc it says that it has no daylight saving time."""

    def utcoffset(self, moment: datetime | None) -> timedelta:
        return timedelta(0)

    def dst(self, moment: datetime | None) -> timedelta:
        return timedelta(0)

    def tzname(self, moment: datetime | None) -> str:
        return "UTC"

    def fromutc(self, moment: datetime) -> datetime:
        return moment

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Utc) or other == timezone.utc

    def __hash__(self) -> int:
        return hash(timezone.utc)

    def __repr__(self) -> str:
        return "UTC"

    def __reduce__(self) -> str:
        return "UTC"


UTC = _Utc()

# From the largest. A month has 30 days and a year 365, which is close enough for people.
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
    """Return the current time, aware, in UTC."""
    # timezone.utc is quicker than a class of ours.
    return datetime.now(timezone.utc).replace(tzinfo=UTC)


def host_time(moment: datetime) -> str:
    """Return a time as log lines show it, in the time zone of this host: "2026-11-27 03:05:00 CET"."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")


def timesince(earlier: date, later: date) -> str:
    """Say how long it is in the largest unit that fits and the next smaller one: "1 hour, 2 minutes", "3 days".

    A date means its midnight, in the time zone of the other argument. "0 seconds" if it is less than a second, or if
    `later` is the earlier one.
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


def brief(duration: timedelta) -> str:
    """Say how long it is in a few characters: "2d 3h", "1h 5m", "12m", "3s"; below ten seconds with a decimal."""
    seconds = max(duration.total_seconds(), 0)
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = int(seconds)
    parts = [(whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "m"), (whole % 60, "s")]
    first = next(i for i, (count, _) in enumerate(parts) if count)
    # Seconds say nothing about a wait of many minutes.
    shown = parts[first : first + (1 if whole >= 600 and parts[first][1] == "m" else 2)]
    return " ".join(f"{count}{unit}" for count, unit in shown if count)


def _as_datetime(moment: date, other: date) -> datetime:
    if isinstance(moment, datetime):
        return moment
    return datetime.combine(moment, time(), tzinfo=getattr(other, "tzinfo", None))
