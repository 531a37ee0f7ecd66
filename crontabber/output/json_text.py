"""Write an answer as JSON for programs: docs/user/json.rst promises its keys."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

FORMAT_VERSION = "1.0"


def as_document(version: str, now: datetime, facts: Mapping[str, Any]) -> str:
    """Return an answer of this version of crontabber, given at `now`."""
    import json

    head = {"format_version": FORMAT_VERSION, "crontabber": version, "now": now}
    return json.dumps({**head, **facts}, default=_plain, indent=2) + "\n"


def _plain(value: Any) -> Any:
    """Return what stands for a value that JSON lacks: RFC 3339 with an offset, and seconds."""
    if isinstance(value, datetime):
        text = value.isoformat()
        # Offsets of less than a minute, which old dates have, are not in RFC 3339.
        return text if len(text.rpartition("+" if "+" in text[10:] else "-")[2]) == 5 else _in_utc(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)


def _in_utc(moment: datetime) -> str:
    offset = moment.utcoffset() or timedelta(0)
    return (moment.replace(tzinfo=None) - offset).isoformat() + "+00:00"
