"""The chain of a backfill job's dates: each is stored on top of the one before, or the run stops.

A standby that lags behind and is promoted, or a crash without synchronous_commit, loses commits that were acknowledged.
Without the chain, a run would go on with the date after those that are lost.
"""

from datetime import datetime
from typing import Any

from crontabber.errors import LostClaimError
from crontabber.store.owners import changed_error, forgotten_error, taken_over_error, vanished_error


class Chain:
    """What the runs of this process have read and stored, by app_name."""

    def __init__(self) -> None:
        self._read: dict[str, datetime | None] = {}
        self._stored: dict[str, datetime] = {}

    def start(self, app_name: str, last_success: datetime | None) -> None:
        """Begin with what a run has read."""
        self._read[app_name] = last_success
        self._stored.pop(app_name, None)

    def add(self, app_name: str, date: datetime) -> None:
        """Note a date that is stored."""
        self._stored[app_name] = date

    def parameters(self, app_name: str) -> dict[str, Any]:
        """Return what the statements need to store something on top. Without a stored date, the end of a run may."""
        previous = self._stored.get(app_name, self._read.get(app_name))
        return {"chained": app_name in self._stored, "previous": previous}

    def ends_with(self, date: datetime, last_success: datetime | None, is_ours: bool | None) -> bool:
        """True if `date` is what the row of our claim has."""
        return bool(is_ours) and last_success == date

    def why_refused(self, app_name: str, last_success: datetime | None, is_ours: bool | None) -> LostClaimError:
        """Return why nothing could be stored, by the row as it is now; `is_ours` is None if there is no row."""
        known = self._stored.get(app_name, self._read[app_name] if is_ours else None)
        if known is not None and (last_success is None or last_success < known):
            return forgotten_error(app_name, last_success, known)
        if is_ours is None:
            return vanished_error(app_name)
        return changed_error(app_name) if is_ours else taken_over_error(app_name)
