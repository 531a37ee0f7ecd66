"""May a job run, and if not, why not? Pure. The tick asks here, and so does every mode that explains it: no answer can
differ from what happens."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, tzinfo
from typing import Any, Literal, NamedTuple

from crontabber.rules.job import Job
from crontabber.rules.job_state import JobState
from crontabber.rules.schedule import is_due
from crontabber.rules.tick import Tick

# Why a job does not run; rules/words.py says each of them in words. `application` is a reason of the user's own
# check_dependencies.
Code = Literal[
    "not_due", "waiting_for_retry", "ongoing", "broken_entry", "paused", "gave_up", "application",
    "dependency_never_ran", "dependency_failed", "dependency_stale", "dependency_paused", "dependency_unconfigured",
    "dependency_gave_up",
]  # fmt: skip
NOT_YET = ("not_due", "waiting_for_retry")


class Condition(NamedTuple):
    """Something that has to be true for a job to run. `code` is why it is not, or None if it is.

    `about` is "due", "ongoing", "entry", "paused", "gave_up", "application" or "dependency". The facts are values of
    the states; `dependency` is the app_name of the one that the condition is about.
    """

    about: str
    code: Code | None
    facts: Mapping[str, Any] = {}


class Judges(NamedTuple):
    """Decisions that an application may take over; None: the rules decide. `why_blocked` returns a reason or None."""

    is_due: Callable[[Job], bool] | None = None
    why_blocked: Callable[[Job], str | None] | None = None


NO_JUDGES = Judges()


def first_reason(
    job: Job, tick: Tick, now: datetime, zone: tzinfo, judges: Judges = NO_JUDGES
) -> Condition | None:  # fmt: skip
    """Return the first reason why `job` may not run now, or None if it may. A tick asks this for every job."""
    return next(unmet(conditions(job, tick, now, zone, judges)), None)


def unmet(conditions: Iterable[Condition]) -> Iterator[Condition]:
    return (condition for condition in conditions if condition.code)


def conditions(
    job: Job, tick: Tick, now: datetime, zone: tzinfo, judges: Judges = NO_JUDGES
) -> Iterator[Condition]:  # fmt: skip
    """Yield everything that has to be true for `job` to run. Lazy: most jobs are not due, and then nobody asks on."""
    row = tick.row(job.app_name)
    due = judges.is_due(job) if judges.is_due else is_due(job.schedule, row, now, job.zone or zone)
    yield _due(row, due)
    ongoing = tick.ongoing.get(job.app_name)
    yield Condition("ongoing", "ongoing" if ongoing else None, ongoing or {})
    yield Condition("entry", "broken_entry" if job.broken_dependency else None, {"dependency": job.broken_dependency})
    yield Condition("paused", "paused" if row.paused_at else None, _pause(row))
    yield Condition("gave_up", "gave_up" if job.policy.gave_up(row) else None, {"error_count": row.error_count})
    if judges.why_blocked:
        reason = judges.why_blocked(job)
        yield Condition("application", None if reason is None else "application", {"reason": reason})
    else:
        yield from dependencies(job.depends_on, tick, now)


def dependencies(depends_on: Iterable[str], tick: Tick, now: datetime) -> Iterator[Condition]:
    """Yield a condition for each dependency. A success within this tick counts, whatever the clock says by now."""
    for name in depends_on:
        row = tick.row(name)
        yield Condition("dependency", _dependency_code(name, row, tick, now), {"dependency": name} | _health(row))


def _due(row: JobState, due: bool) -> Condition:
    due_at = row.next_run or row.first_slot
    if due:
        return Condition("due", None, {"next_run": due_at})
    if row.error_count or row.last_error:
        return Condition("due", "waiting_for_retry", {"next_run": due_at, "error_count": row.error_count})
    return Condition("due", "not_due", {"next_run": due_at})


def _dependency_code(name: str, row: JobState, tick: Tick, now: datetime) -> Code | None:
    if name in tick.succeeded:
        return None
    if row.paused_at:
        return "dependency_paused"
    if row.last_run is None and row.last_success is None and not row.error_count:
        known = name in tick.states or name in tick.configured
        return "dependency_never_ran" if known else "dependency_unconfigured"
    if tick.gave_up(name):
        return "dependency_gave_up"
    if row.error_count or row.last_error:
        return "dependency_failed"
    if row.next_run is None or row.next_run <= now:
        return "dependency_stale"
    return None


def _health(row: JobState) -> dict[str, Any]:
    return {"last_success": row.last_success, "next_run": row.next_run, "error_count": row.error_count}


def _pause(row: JobState) -> dict[str, Any]:
    return {"since": row.paused_at, "by": row.paused_by, "reason": row.pause_reason} if row.paused_at else {}
