"""--mark-success: store a success of jobs without running them; of a backfill job, its next dates are skipped."""

from datetime import datetime, tzinfo
from functools import partial
from itertools import takewhile
from typing import Any

from crontabber.commands import Application
from crontabber.commands.changing import NOTHING, all_rows, is_agreed, jobs_named, who, with_claim
from crontabber.commands.tick import run_settings
from crontabber.engine.run_record import RunRecord
from crontabber.errors import ConfigurationError, ExitCode, NoSuchDateError
from crontabber.rules.after_run import Occasion
from crontabber.rules.backfill import backfill_dates
from crontabber.rules.job import Job
from crontabber.rules.job_state import JobState, Outcome
from crontabber.rules.local_time import UTC
from crontabber.rules.named_dates import date_named, shown, shown_range
from crontabber.store.claims import Claim


def command(app: Application) -> int:
    known, zone, now = all_rows(app.job_states), app.job_states.zone, app.current_time()
    jobs = jobs_named(app, app.config["mark-success"])
    last = _last_date(app, jobs, known, zone)
    rows = [known.get(job.app_name) or JobState(job.app_name) for job in jobs]
    plan = [_plan(job, _dates(job, row, now, zone, last), zone) for job, row in zip(jobs, rows, strict=True)]
    if not is_agreed(app, plan):
        return ExitCode.DONE
    codes = [with_claim(app, job, partial(_mark, app, job, last), row) for job, row in zip(jobs, rows, strict=True)]
    return max(codes, default=ExitCode.DONE)


def _last_date(app: Application, jobs: list[Job], known: dict[str, JobState], zone: tzinfo) -> datetime | None:
    text = app.config.get("date")
    if text is None:
        return None
    if len(jobs) != 1 or not jobs[0].is_backfill:
        raise ConfigurationError("--date needs one backfill job: other jobs have no dates")
    last = date_named(text, jobs[0], known.get(jobs[0].app_name) or JobState(jobs[0].app_name), zone)
    if last > app.current_time():
        raise NoSuchDateError(f"{shown(last, jobs[0].zone or zone)} is still to come")
    return last


def _dates(job: Job, row: JobState, now: datetime, zone: tzinfo, last: datetime | None) -> list[datetime]:
    """Return the outstanding dates of a backfill job up to the last one, without that only the first."""
    if not job.is_backfill:
        return []
    dates = backfill_dates(job.schedule, row, now, job.zone or zone)
    if last is None:
        first = next(dates, None)
        return [] if first is None else [first]
    return list(takewhile(lambda date: date.astimezone(UTC) <= last, dates))


def _plan(job: Job, dates: list[datetime], zone: tzinfo) -> str:
    if not job.is_backfill:
        return f"{job.app_name}: store a success now, without a run"
    if not dates:
        return f"{job.app_name}: no such date is outstanding; {NOTHING}"
    return f"{job.app_name}: skip {shown_range(dates, job.zone or zone)}"


def _mark(app: Any, job: Job, last: datetime | None, claim: Claim) -> int:
    """Store it under the claim, by the row as it is now."""
    states = app.job_states
    states.claims.host = who()  # This is no run on any host: the log says whose mark it is.
    dates = _dates(job, claim.state, claim.since, states.zone, last)
    if job.is_backfill and not dates:
        states.claims.release(claim)
        return ExitCode.DONE
    occasion = Occasion(claim.state, claim.since, False, claim.state.first_slot)
    record = RunRecord(states, run_settings(app), job, claim, occasion)
    for date in dates:
        record.store_date(date)
    success = dates[-1] if dates else claim.since
    record.settle(Outcome(claim.since, app.current_time(), success), None, None)
    what = f" up to {shown(dates[-1], job.zone or states.zone)}" if dates else ""
    app.config.logger.info("%s was marked as successful%s by %s", job.app_name, what, who())
    return ExitCode.DONE
