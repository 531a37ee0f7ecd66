"""What to do about the state that a tick left behind whose clock was ahead. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, tzinfo

from crontabber.rules.backfill import next_date
from crontabber.rules.cron import latest_slot
from crontabber.rules.job import Job
from crontabber.rules.job_state import JobState
from crontabber.rules.local_time import UTC, moment_on
from crontabber.rules.schedule import day_served, next_run_after_failure, next_run_after_success

# Clocks may differ by this much before it is worth a word.
CLOCK_TOLERANCE = timedelta(minutes=1)


def is_ahead(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and moment > now + CLOCK_TOLERANCE


def ran_in_the_future(jobs: Iterable[Job], states: Mapping[str, JobState], now: datetime) -> list[Job]:
    """Return the jobs whose last run or last success is still to come."""
    limit = now + CLOCK_TOLERANCE  # Once: every tick asks for every job.
    return [
        job
        for job in jobs
        if (state := states.get(job.app_name)) is not None
        and ((state.last_run or limit) > limit or (state.last_success or limit) > limit)
    ]


def corrected(job: Job, state: JobState, now: datetime, zone: tzinfo) -> JobState | None:
    """Return the state of a job that ran in the future as if that had been now. None if it is planned no later.

    A date in the future is the cursor of a backfill job: the next run follows it, and only a person can move it back.
    """
    if state.next_run is None or state.ongoing is not None:
        return None
    if job.is_backfill and state.last_success is None and is_ahead(state.first_run, now):
        # Its dates would count from a first run that is still to come: it starts anew, and only its error is kept.
        return state._replace(next_run=None, first_run=None)
    next_run = _next_run(job, state, now, zone)
    return state._replace(next_run=next_run) if is_ahead(state.next_run, next_run) else None


def _next_run(job: Job, state: JobState, now: datetime, zone: tzinfo) -> datetime:
    if state.error_count:
        return next_run_after_failure(now, job.policy.retry_after(state.error_count))
    if job.is_backfill:
        return next_date(job.schedule, state, job.zone or zone) or now
    return next_run_after_success(job.schedule, state, now, job.zone or zone)


def last_date_by(job: Job, state: JobState, now: datetime, zone: tzinfo) -> datetime:
    """Return the newest date of a backfill job whose cursor is ahead that is not in the future."""
    assert state.last_success is not None
    zone = job.zone or zone
    if job.schedule.cron:
        return latest_slot(job.schedule.cron, now, zone) or state.last_success
    if job.schedule.at is None:
        intervals = -(-(state.last_success - now) // job.schedule.every)
        return state.last_success.astimezone(UTC) - intervals * job.schedule.every
    plan = JobState("", next_run=state.last_success)
    return moment_on(day_served(job.schedule, plan, now, zone), job.schedule.at, zone)
