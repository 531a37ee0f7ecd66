"""What we know about a job between two ticks, and how a run changes it. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple


class JobState(NamedTuple):
    """A row of the state table. Every time is aware; None means that it has not happened, or is not planned.

    `owner` is "host:pid" of the process that is running the job. If `ongoing` is set without an owner, the original
    crontabber wrote the row.
    """

    app_name: str
    next_run: datetime | None = None
    first_run: datetime | None = None
    last_run: datetime | None = None
    last_success: datetime | None = None
    error_count: int = 0
    depends_on: tuple[str, ...] = ()
    last_error: Mapping[str, Any] = {}  # shared by all rows, but a Mapping cannot be changed
    ongoing: datetime | None = None
    owner: str | None = None


class Failure(NamedTuple):
    """What a job raised, as text that PostgreSQL accepts: the repr of the type, the str, the formatted traceback."""

    type: str
    value: str
    traceback: str

    def as_last_error(self) -> dict[str, str]:
        return {"type": self.type, "value": self.value, "traceback": self.traceback}


class Outcome(NamedTuple):
    """How a run ended. `last_success` is the newest time or date that succeeded, None if there is none."""

    started: datetime
    finished: datetime
    last_success: datetime | None = None
    failure: Failure | None = None


def settled(state: JobState, outcome: Outcome, next_run: datetime) -> JobState:
    """Return the state after a run, not ongoing any more. Dates that succeeded before a failure are kept."""
    succeeded = outcome.failure is None
    return state._replace(
        next_run=next_run,
        first_run=state.first_run or outcome.started,
        last_run=outcome.started,
        last_success=outcome.last_success or state.last_success,
        error_count=0 if succeeded else state.error_count + 1,
        last_error={} if outcome.failure is None else outcome.failure.as_last_error(),
        ongoing=None,
        owner=None,
    )
