"""What we know about a job between two ticks, and how a run changes it. Pure."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta, timezone
from typing import Any, NamedTuple

# At the end of the process in an owner: its run is a rerun.
RERUN = "+rerun"


class JobState(NamedTuple):
    """A row of the state table. Every time is aware; None means that it has not happened, or is not planned.

    `owner` names the process that is running the job, and its claim: "host:pid/BIRTH@TIME". TIME is that of `ongoing`.
    BIRTH tells the process from a later one with its pid; only Linux knows it.

    What follows comes from crontabber_job: the slot of a first run that has not succeeded yet; the calendar date that
    is done, which counts only while `last_date_for` equals `last_success`; since when the job is paused, by whom, why.
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
    first_slot: datetime | None = None
    last_date: date | None = None
    last_date_for: datetime | None = None
    paused_at: datetime | None = None
    paused_by: str | None = None
    pause_reason: str | None = None

    @property
    def process(self) -> str | None:
        """The "host:pid" that wrote `ongoing`. None if the original crontabber or a person wrote it: they leave `owner`
        as it is, so that it names another claim, or none at all."""
        process, at, moment = (self.owner or "").partition("@")
        if self.ongoing is None or (at and moment != claim_time(self.ongoing)):
            return None
        return process.removesuffix(RERUN).partition("/")[0] or None

    @property
    def birth(self) -> str:
        """The birth of that process, "" where it is not known."""
        return (self.owner or "").partition("@")[0].removesuffix(RERUN).partition("/")[2]

    @property
    def is_rerun(self) -> bool:
        """True if the row has been claimed for a rerun, which leaves it as it was."""
        return (self.owner or "").partition("@")[0].endswith(RERUN)

    def unclaimed(self) -> "JobState":
        return self._replace(ongoing=None, owner=None)


def claim_time(ongoing: datetime) -> str:
    """Return the time of a claim in the form that `owner` contains."""
    return ongoing.astimezone(timezone.utc).isoformat()


class Failure(NamedTuple):
    """What a job raised, as text that PostgreSQL accepts: the repr of the type, the str, the formatted traceback, and
    the repr of the exception, which crontabber_log has where last_error has the str."""

    type: str
    value: str
    traceback: str
    representation: str

    def as_last_error(self) -> dict[str, str]:
        return {"type": self.type, "value": self.value, "traceback": self.traceback}


class Outcome(NamedTuple):
    """How a run ended. `last_success` is the newest time or date that succeeded, None if there is none.

    Not every failure is the job's fault: `interrupted` means that it comes from a signal to the process. A job that
    raised RetryLater has the `delay` that it asked for. One that raised GiveUp `gave_up`.
    """

    started: datetime
    finished: datetime
    last_success: datetime | None = None
    failure: Failure | None = None
    interrupted: bool = False
    delay: timedelta | None = None
    gave_up: bool = False

    def last_error(self) -> dict[str, Any]:
        """Return what the state keeps of the failure."""
        if self.failure is None:
            return {}
        return self.failure.as_last_error() | ({"gave_up": True} if self.gave_up else {})

    def failures_after(self, failures: int) -> int:
        """Return the number of failures in a row after this run, if there were so many before it. Dates that have
        succeeded before the failure begin a new row."""
        if self.failure is None:
            return 0
        if self.last_success is not None:
            failures = 0
        return failures if self.interrupted or self.delay is not None else failures + 1


def settled(state: JobState, outcome: Outcome, next_run: datetime | None) -> JobState:
    """Return the state after a run, not ongoing any more. Dates that succeeded before a failure are kept."""
    return state._replace(
        next_run=next_run,
        first_run=state.first_run or outcome.started,
        last_run=outcome.started,
        last_success=outcome.last_success or state.last_success,
        error_count=outcome.failures_after(state.error_count),
        last_error=outcome.last_error(),
        ongoing=None,
        owner=None,
    )
