"""--rerun: run a job once more, a backfill job for given dates, and the jobs that depend on it if asked to."""

from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo
from functools import partial
from typing import Any, NamedTuple

from crontabber.commands import Application
from crontabber.commands.changing import all_rows, is_agreed, who, with_claim
from crontabber.commands.run import supervised_if_needed
from crontabber.commands.tick import run_settings
from crontabber.engine.job_run import JobRun
from crontabber.engine.rerun import RerunRecord
from crontabber.errors import ConfigurationError, ExitCode, NoSuchDateError
from crontabber.process.signals import INTERRUPTION
from crontabber.rules.after_run import Occasion
from crontabber.rules.dependencies import reorder_dag
from crontabber.rules.job import Job
from crontabber.rules.job_state import JobState
from crontabber.rules.local_time import local_date
from crontabber.rules.named_dates import date_named, dates_between, dates_on, shown, shown_range
from crontabber.store.claims import Claim
from crontabber.store.patrol import patrol


class Rerun(NamedTuple):
    """A job to run again, a backfill job for these dates; or why it is skipped."""

    job: Job
    dates: list[datetime] | None = None
    skipped: str = ""


def command(app: Application) -> int:
    job, zone = app.configured_jobs().find(app.config["rerun"]), app.job_states.zone
    rows = all_rows(app.job_states)
    reruns = [Rerun(job, _dates(app, job, rows, zone))]
    if app.config.get("also-dependents"):
        reruns += _dependents(app, reruns[0], rows, zone)
    if not is_agreed(app, [_plan(each, zone) for each in reruns]):
        return ExitCode.DONE
    todo = [each for each in reruns if not each.skipped]
    app.config.logger.info("A rerun of %s by %s", ", ".join(each.job.app_name for each in todo), who())
    return supervised_if_needed(app, [each.job for each in todo], partial(_run_all, app, todo), once=True)


def _dates(app: Application, job: Job, rows: dict[str, JobState], zone: tzinfo) -> list[datetime] | None:
    """Return the dates that are asked for, None for a job without dates."""
    date, first, last = (app.config.get(name) for name in ("date", "from", "to"))
    if not job.is_backfill:
        if date or first:
            raise ConfigurationError(f"{job.app_name} is no backfill job: it runs for no date")
        return None
    if not (date or first):
        raise ConfigurationError(f"{job.app_name} is a backfill job: add --date, or --from and --to")
    row = rows.get(job.app_name) or JobState(job.app_name)
    start = date_named(date or first, job, row, zone)
    end = date_named(date or last, job, row, zone)
    if end > app.current_time():
        raise NoSuchDateError(f"{shown(end, job.zone or zone)} is still to come")
    if end < start:
        raise NoSuchDateError(f"--to is before --from: {shown(end, job.zone or zone)}")
    return dates_between(start, end, job, zone)


def _dependents(app: Application, rerun: Rerun, rows: dict[str, JobState], zone: tzinfo) -> Iterator[Rerun]:
    """Yield the jobs that depend on it, transitively, in order: backfill jobs for the same calendar dates."""
    affected = {rerun.job.app_name}
    days = sorted({local_date(date, rerun.job.zone or zone) for date in rerun.dates or []})
    for job in reorder_dag(app.configured_jobs().jobs):
        if job.app_name in affected or affected.isdisjoint(job.depends_on):
            continue
        affected.add(job.app_name)
        row = rows.get(job.app_name) or JobState(job.app_name)
        if row.paused_at:
            yield Rerun(job, None, "it is paused")
        elif not job.is_backfill:
            yield Rerun(job)
        else:
            now = app.current_time()
            dates = [date for day in days for date in dates_on(day, job, row, zone) if date <= now]
            yield Rerun(job, dates, "" if dates else "it has no date on these days")


def _plan(rerun: Rerun, zone: tzinfo) -> str:
    name, dates = rerun.job.app_name, rerun.dates
    if rerun.skipped:
        return f"{name}: skip: {rerun.skipped}"
    if not dates:
        return f"{name}: run once more"
    return f"{name}: run once more: {shown_range(dates, rerun.job.zone or zone)}"


def _run_all(app: Any, reruns: Sequence[Rerun], jobs: Sequence[Job]) -> int:
    """Run those of them that are left. Stop at the first failure."""
    left = {job.app_name for job in jobs}
    app.job_states.claims.mark_as_reruns()
    if len(left) < len(reruns):
        return ExitCode.FAILED  # One of them was killed at its timeout.
    with INTERRUPTION.deferred(), INTERRUPTION.patrolled(patrol):
        for number, rerun in enumerate(reruns):
            exit_code = with_claim(app, rerun.job, partial(_run, app, rerun))
            if exit_code or INTERRUPTION.signum:
                is_done = not exit_code and not rerun.dates
                _say_how_to_go_on(app, reruns[number + is_done :])
                return exit_code
    return ExitCode.DONE


def _run(app: Any, rerun: Rerun, claim: Claim) -> int:
    """Run one job. Afterwards, `rerun` has the dates that are left."""
    states, settings = app.job_states, run_settings(app)
    occasion = Occasion(claim.state, claim.since, True, claim.state.first_slot)
    record = RerunRecord(states, settings, rerun.job, claim, occasion)
    dates = None if rerun.dates is None else list(rerun.dates)
    JobRun(states, settings, rerun.job, claim, occasion, record, dates).complete()
    if rerun.dates:
        del rerun.dates[: len(record.done)]
    return ExitCode.DONE if record.outcome is None or record.outcome.failure is None else ExitCode.FAILED


def _say_how_to_go_on(app: Any, left: Sequence[Rerun]) -> None:
    """Log the commands that run what is left."""
    commands = []
    for job, dates, _ in left:
        if dates:
            zone = job.zone or app.job_states.zone
            commands.append(f"--rerun={job.app_name} --from={shown(dates[0], zone)} --to={shown(dates[-1], zone)}")
        elif not job.is_backfill:
            commands.append(f"--rerun={job.app_name}")
    if commands:
        app.config.logger.warning("To go on where it stopped: %s", ", then ".join(commands))
