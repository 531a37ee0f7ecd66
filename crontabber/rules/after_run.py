"""The state of a job after a run, with its next run. Pure."""

from datetime import datetime, timedelta, tzinfo
from typing import NamedTuple

from crontabber.rules.backfill import date_after
from crontabber.rules.job import Job
from crontabber.rules.job_state import JobState, Outcome, settled
from crontabber.rules.schedule import next_run_after_failure, next_run_after_success, slot_to_remember


class Occasion(NamedTuple):
    """Why and when a job runs: the row as claimed (None: first run), the start of the tick, whether it is forced."""

    before: JobState | None
    tick_started: datetime
    forced: bool = False


def state_after(job: Job, occasion: Occasion, outcome: Outcome, zone: tzinfo, retry_after: timedelta) -> JobState:
    """Return the state of a job after a run, including its next run."""
    before, started, forced = occasion.before, outcome.started, occasion.forced
    next_run: datetime | None
    last_date = (outcome.last_success or (before and before.last_success)) if job.is_backfill else None
    if outcome.failure is None and last_date is not None:
        next_run = date_after(job.schedule, last_date, zone)
    elif outcome.failure is None:
        next_run = next_run_after_success(job.schedule, before, started, zone, forced, occasion.tick_started)
        slot = None if job.is_backfill else slot_to_remember(job.schedule, before, started, zone, forced)
        outcome = outcome._replace(last_success=slot or outcome.last_success)
    elif outcome.interrupted:
        next_run = before.next_run if before else None  # A job that was due stays due.
    else:
        next_run = next_run_after_failure(outcome.finished, retry_after)
    return settled(before or JobState(job.app_name), outcome, next_run)._replace(depends_on=job.depends_on)
