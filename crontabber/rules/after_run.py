"""The state of a job after a run, with its next run. Pure."""

from datetime import date, datetime, time, tzinfo
from typing import Any, NamedTuple

from crontabber.rules.backfill import date_after, next_date
from crontabber.rules.job import Job
from crontabber.rules.job_state import JobState, Outcome, settled
from crontabber.rules.schedule import next_run_after_failure, next_run_after_success, slot_to_remember


class Occasion(NamedTuple):
    """Why and when a job runs: the row as claimed (None: first run), the start of the tick, whether it is forced.

    `first_slot` is the slot that was noted for a first run.
    """

    before: JobState | None
    tick_started: datetime
    forced: bool = False
    first_slot: datetime | None = None

    def row(self, app_name: str) -> JobState:
        """Return what the rules go by, also on a first run."""
        return self.before or JobState(app_name, first_slot=self.first_slot)


def state_after(job: Job, occasion: Occasion, outcome: Outcome, zone: tzinfo) -> JobState:
    """Return the state of a job after a run, including its next run; `zone` is the server's."""
    zone = job.zone or zone
    before = occasion.row(job.app_name)
    next_run: datetime | None
    if outcome.failure and outcome.interrupted:
        next_run = before.next_run  # A job that was due stays due.
        if next_run is None and job.is_backfill and outcome.last_success is not None:
            next_run = date_after(job.schedule, outcome.last_success, zone)
    elif outcome.failure:
        wait = job.policy.retry_after(outcome.failures_after(before.error_count))
        next_run = next_run_after_failure(outcome.finished, wait if outcome.delay is None else outcome.delay)
    elif job.is_backfill:
        next_run = _next_run_of_backfill(job, occasion, outcome, zone)
    else:
        plan = (job.schedule, before, outcome.started, zone, occasion.forced)
        next_run = next_run_after_success(*plan, occasion.tick_started)
        outcome = outcome._replace(last_success=slot_to_remember(*plan) or outcome.last_success)
    state = settled(before, outcome, next_run)
    # The dates count from the first slot until one of them is done.
    needs_slot = next_run is None or state.last_success is None
    return state._replace(depends_on=job.depends_on, first_slot=before.first_slot if needs_slot else None)


def _next_run_of_backfill(job: Job, occasion: Occasion, outcome: Outcome, zone: tzinfo) -> datetime:
    before = occasion.row(job.app_name)
    if outcome.last_success is not None:
        return date_after(job.schedule, outcome.last_success, zone)
    following = next_date(job.schedule, before, zone)
    if following is None or (before.last_success is None and following <= outcome.started):
        # A class of the user's own has run for no date.
        return next_run_after_success(job.schedule, before, outcome.started, zone, tick_started=occasion.tick_started)
    return following


def moment_of(success: Any, zone: tzinfo) -> datetime | None:
    """Return what a job's own `main` yielded, a datetime, a date or None, as a datetime. TypeError for the rest."""
    if success is None or isinstance(success, datetime):
        return success
    if isinstance(success, date):
        return datetime.combine(success, time(), zone)
    raise TypeError(f"main() yielded {success!r}: expected the datetime of a success")
