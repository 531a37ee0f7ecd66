"""What is known of a job between two ticks, and how a run changes it. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple


class JobState(NamedTuple):
    """One row of the state table. Every time is aware; None means that it has not happened, or not been planned.

    `owner` is "host:pid" of the process that holds `ongoing`; None with `ongoing` set is a row of the original's.
    """

    app_name: str
    next_run: datetime | None = None
    first_run: datetime | None = None
    last_run: datetime | None = None
    last_success: datetime | None = None
    error_count: int = 0
    depends_on: tuple[str, ...] = ()
    last_error: Mapping[str, Any] = {}  # shared: a Mapping is not changed
    ongoing: datetime | None = None
    owner: str | None = None


class Failure(NamedTuple):
    """What a job raised, as text that PostgreSQL accepts: the type by its repr, its str, the formatted traceback."""

    type: str
    value: str
    traceback: str

    def as_last_error(self) -> dict[str, str]:
        return {"type": self.type, "value": self.value, "traceback": self.traceback}


class Outcome(NamedTuple):
    """How one run of a job ended. `last_success` is the newest time or date that succeeded, None if none did."""

    started: datetime
    finished: datetime
    last_success: datetime | None = None
    failure: Failure | None = None


def settled(state: JobState, outcome: Outcome, next_run: datetime) -> JobState:
    """The state after a run: free again, with `next_run` as given. A failure keeps what had succeeded before it."""
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
