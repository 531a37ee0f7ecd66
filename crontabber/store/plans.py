"""Plan the next runs of jobs that nobody runs."""

import json
from collections.abc import Mapping
from datetime import datetime

from crontabber.store import sql_notes
from crontabber.store.sql import within_the_calendar
from crontabber.store.state_connection import StateConnection

# Not of a job that has been claimed since we read its row. A job without a plan waits for its first run.
CHANGE_PLANS = f"""
UPDATE crontabber SET next_run = planned, first_run = CASE WHEN planned IS NOT NULL THEN first_run END
FROM unnest(%(app_names)s::text[], %(seen)s::timestamptz[], %(planned)s::timestamptz[]) AS plan (name, seen, planned)
WHERE app_name = name AND ongoing IS NULL AND {within_the_calendar('next_run')} = seen
"""


class Plans:
    """Each method sends one statement. Another process may be quicker: then its plan stands."""

    def __init__(self, connection: StateConnection) -> None:
        self._connection = connection

    def note_first_slots(self, slots: Mapping[str, tuple[datetime | None, datetime]]) -> set[str]:
        """Note the slots of first runs: app_name -> (what was noted before, the slot). Return what is noted now."""
        if not self._connection.has_notes:
            return set()
        seen = {name: before and before.isoformat() for name, (before, _) in slots.items()}
        parameters = {"app_names": list(slots), "slots": [slot for _, slot in slots.values()], "seen": json.dumps(seen)}
        return {row[0] for row in self._connection.fetch(sql_notes.NOTE_FIRST_SLOTS, parameters)}

    def forget(self, app_name: str) -> None:
        """Forget what is noted about a job that has no state."""
        if self._connection.has_notes:
            self._connection.fetch(sql_notes.FORGET, {"app_name": app_name})

    def change(self, next_runs: Mapping[str, tuple[datetime | None, datetime | None]]) -> None:
        """Change next runs: app_name -> (as it was seen, as it should be; None for a job that starts anew)."""
        seen, planned = zip(*next_runs.values(), strict=True)
        parameters = {"app_names": list(next_runs), "seen": list(seen), "planned": list(planned)}
        self._connection.fetch(CHANGE_PLANS, parameters)
