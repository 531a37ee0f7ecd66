"""Pause jobs, and end that: in crontabber_job, so that every host and every answer knows of it."""

import json
from collections.abc import Sequence
from typing import Any

from crontabber.errors import StateDatabaseError
from crontabber.rules.job_state import JobState
from crontabber.store.schema import look, why_without_notes
from crontabber.store.state_connection import StateConnection

PAUSE = """
INSERT INTO crontabber_job AS job (app_name, paused_at, paused_by, pause_reason)
SELECT app_name, clock_timestamp(), %(by)s, %(reason)s FROM unnest(%(app_names)s::text[]) AS app_name
ON CONFLICT (app_name) DO UPDATE
SET paused_at = EXCLUDED.paused_at, paused_by = EXCLUDED.paused_by, pause_reason = EXCLUDED.pause_reason
WHERE job.paused_at IS NULL
RETURNING app_name
"""
RESUME = """
UPDATE crontabber_job SET paused_at = NULL, paused_by = NULL, pause_reason = NULL
WHERE app_name = ANY(%(app_names)s) AND paused_at IS NOT NULL
RETURNING app_name
"""
# A job that gave up is due at once, and starts to count anew. What it failed with stays: its dependents wait for a
# success.
FORGIVE = """
UPDATE crontabber SET error_count = 0, last_error = %(last_error)s, next_run = LEAST(next_run, now())
WHERE app_name = %(app_name)s AND ongoing IS NULL AND error_count = %(error_count)s
RETURNING app_name
"""


class Pauses:
    """Each method sends one statement, and returns the app_names that it has changed."""

    def __init__(self, connection: StateConnection) -> None:
        self._connection = connection

    def pause(self, app_names: Sequence[str], by: str, reason: str | None) -> set[str]:
        parameters = {"app_names": list(app_names), "by": by, "reason": reason and self._connection.sendable(reason)}
        return self._names(PAUSE, parameters)

    def resume(self, app_names: Sequence[str]) -> set[str]:
        return self._names(RESUME, {"app_names": list(app_names)})

    def forgive(self, row: JobState) -> bool:
        """Have a job that gave up start anew. False if its row has changed meanwhile."""
        last_error = {name: value for name, value in row.last_error.items() if name != "gave_up"}
        parameters = {
            "app_name": row.app_name, "error_count": row.error_count, "last_error": json.dumps(last_error),
        }  # fmt: skip
        return bool(self._names(FORGIVE, parameters))

    def _names(self, statement: str, parameters: Any) -> set[str]:
        return {row[0] for row in self._connection.fetch(statement, parameters)}


def pauses_of(states: Any) -> Pauses:
    """Return the pauses of a state. StateDatabaseError if it has no place for them."""
    connection = getattr(states, "connection", None)
    if not isinstance(connection, StateConnection):
        raise StateDatabaseError(f"state database: {type(states).__name__} cannot pause jobs")
    if not connection.has_notes:
        raise StateDatabaseError(f"state database: jobs cannot be paused: {why_without_notes(look(connection))}")
    return Pauses(connection)
