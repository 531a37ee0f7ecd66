"""Which time zone has this name? Pure: a name in, a tzinfo out."""

import re
import struct
from datetime import datetime, tzinfo
from io import BytesIO
from zoneinfo import ZoneInfo, available_timezones

from crontabber.errors import StateDatabaseError, TimeZoneError

# What PostgreSQL assumes if a POSIX zone has a summer time without rules.
DEFAULT_RULES = ",M3.2.0,M11.1.0"

_OFFSET = r"[+-]?[0-9]{1,2}(?::[0-9]{1,2}){0,2}"
_POSIX = re.compile(
    rf"(?P<name><[^<>]+>|[A-Za-z]+)(?P<offset>{_OFFSET})"
    rf"(?:(?P<summer><[^<>]+>|[A-Za-z]+)(?P<summer_offset>{_OFFSET})?(?P<rules>,.+)?)?"
)


def zone_named(name: str) -> tzinfo:
    """Return the zone with this name, as the server reports it: an IANA name (`Europe/Berlin`) or any POSIX zone
    (`<-03>+03`, `PST8PDT,M3.2.0,M11.1.0`). StateDatabaseError if it is not known on this machine."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        pass
    try:
        return _posix_zone(name)
    except (ValueError, OverflowError):
        raise StateDatabaseError(
            f"state database: its time zone {name!r} is unknown on this machine: run pip install --upgrade tzdata, or"
            " set TimeZone to a name such as Europe/Berlin or UTC, in postgresql.conf or with ALTER DATABASE"
        ) from None


def configured_zone(name: str) -> ZoneInfo:
    """Return the zone with this IANA name, from a configuration. TimeZoneError if there is none."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise TimeZoneError(name, _nearest(name)) from None


def _nearest(name: str) -> str:
    from difflib import get_close_matches

    known = {each.lower(): each for each in available_timezones()}
    near = get_close_matches(name.lower(), known, n=1)
    return f"did you mean {known[near[0]]!r}?" if near else "expected a name such as Europe/Berlin or UTC"


def _posix_zone(name: str) -> tzinfo:
    match = _POSIX.fullmatch(name)
    if match is None:
        raise ValueError(name)
    text = "<STD>" + match["offset"]
    if match["summer"]:
        text += "<DST>" + (match["summer_offset"] or "") + (match["rules"] or DEFAULT_RULES)
    zone = ZoneInfo.from_file(BytesIO(_tzif(text)), key=name)
    # ValueError for an offset of 24 hours or more, which PostgreSQL allows and datetime does not.
    datetime(2000, 1, 1, tzinfo=zone).utcoffset()
    return zone


def _tzif(footer: str) -> bytes:
    """Return the smallest file of RFC 8536, version 2, that has no transitions and leaves everything to its footer:
    zoneinfo then applies the POSIX rules."""
    counts = struct.pack(">6l", 0, 0, 0, 0, 1, 4)
    header = b"TZif2" + bytes(15) + counts
    block = header + struct.pack(">lbb", 0, 0, 0) + b"UTC\0"
    return block + block + b"\n" + footer.encode("ascii") + b"\n"
