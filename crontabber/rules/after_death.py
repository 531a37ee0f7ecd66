"""The state of a job whose process died, or had to be killed, while it ran. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo

from crontabber.rules.backfill import backfill_dates
from crontabber.rules.job import Job
from crontabber.rules.job_state import Failure, JobState
from crontabber.rules.policy import Policy
from crontabber.rules.schedule import next_run_after_failure

# The key of `last_error` that counts the deaths in a row.
DEATHS = "deaths"


def state_after_death(seen: JobState, policy: Policy, failure: Failure, now: datetime) -> JobState:
    """Return the state after a death, from the row that the dead process has left.

    The first death may be an accident: the job stays due. A further one, without a success in between, is the job's own
    doing, and waits like any failure.
    """
    if seen.is_rerun:
        return seen.unclaimed()  # It does not count.
    deaths = deaths_of(seen) + 1
    failures = seen.error_count + 1
    again = deaths > 1
    return seen._replace(
        next_run=next_run_after_failure(now, policy.retry_after(failures)) if again else seen.next_run,
        last_run=seen.ongoing or seen.last_run,
        error_count=failures,
        last_error=failure.as_last_error() | {DEATHS: deaths},
        ongoing=None,
        owner=None,
    )


def date_of_death(job: Job, left: JobState, zone: tzinfo) -> datetime | None:
    """Return the date for which a backfill job ran when its process died, and `left` this row."""
    if not job.is_backfill or left.ongoing is None:
        return None
    return next(backfill_dates(job.schedule, left, left.ongoing, job.zone or zone), None)


def deaths_of(state: JobState) -> int:
    """Return how often in a row the process died that ran the job."""
    deaths = state.last_error.get(DEATHS, 0)
    return deaths if isinstance(deaths, int) else 0


def with_the_deadly_last(jobs: Sequence[Job], states: Mapping[str, JobState]) -> list[Job]:
    """Return `jobs` with those last that may end the process, because their last owner died, or may have died; each
    with the jobs that depend on it."""
    deadly = {name for name, state in states.items() if state.owner or (state.last_error and deaths_of(state))}
    if not deadly:
        return list(jobs)
    last: set[str] = set()
    for job in jobs:
        if job.app_name in deadly or not last.isdisjoint(job.depends_on):
            last.add(job.app_name)
    return [job for job in jobs if job.app_name not in last] + [job for job in jobs if job.app_name in last]
