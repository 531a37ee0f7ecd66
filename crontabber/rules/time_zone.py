"""Which time zone does a PostgreSQL server mean by its `TimeZone`? Pure: a name comes in, a tzinfo goes out."""

import re
import struct
from datetime import datetime, tzinfo
from io import BytesIO
from zoneinfo import ZoneInfo

from crontabber.errors import StateDatabaseError

# What PostgreSQL takes where a POSIX text has a summer time without rules.
DEFAULT_RULES = ",M3.2.0,M11.1.0"

_OFFSET = r"[+-]?[0-9]{1,2}(?::[0-9]{1,2}){0,2}"
_POSIX = re.compile(
    rf"(?P<name><[^<>]+>|[A-Za-z]+)(?P<offset>{_OFFSET})"
    rf"(?:(?P<summer><[^<>]+>|[A-Za-z]+)(?P<summer_offset>{_OFFSET})?(?P<rules>,.+)?)?"
)


def zone_named(name: str) -> tzinfo:
    """An IANA name (`Europe/Berlin`) or any POSIX text (`<-03>+03`, `PST8PDT,M3.2.0,M11.1.0`), as the server reports
    it. StateDatabaseError if it is neither here."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        pass
    try:
        return _posix_zone(name)
    except (ValueError, OverflowError):
        raise StateDatabaseError(
            f"state database: its time zone {name!r} is not known here: pip install --upgrade tzdata, or set TimeZone"
            " to a name such as Europe/Berlin or UTC in postgresql.conf or by ALTER DATABASE"
        ) from None


def _posix_zone(name: str) -> tzinfo:
    match = _POSIX.fullmatch(name)
    if match is None:
        raise ValueError(name)
    text = "<STD>" + match["offset"]
    if match["summer"]:
        text += "<DST>" + (match["summer_offset"] or "") + (match["rules"] or DEFAULT_RULES)
    zone = ZoneInfo.from_file(BytesIO(_tzif(text)), key=name)
    # ValueError for an offset of 24 hours and more: PostgreSQL has them, Python's datetime has not.
    datetime(2000, 1, 1, tzinfo=zone).utcoffset()
    return zone


def _tzif(footer: str) -> bytes:
    """The smallest file of RFC 8536, version 2, that has no changes of its own but leaves all to its footer. So the
    rules of POSIX are left to zoneinfo."""
    counts = struct.pack(">6l", 0, 0, 0, 0, 1, 4)
    header = b"TZif2" + bytes(15) + counts
    block = header + struct.pack(">lbb", 0, 0, 0) + b"UTC\0"
    return block + block + b"\n" + footer.encode("ascii") + b"\n"
