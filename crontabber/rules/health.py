"""How is a job? A word and a clause for people. Pure."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from typing import NamedTuple

from crontabber.rules.backfill import OutstandingDates, dates_to_skip, outstanding_dates
from crontabber.rules.plan import Step
from crontabber.rules.schedule import next_slot
from crontabber.rules.tick import Tick
from crontabber.rules.words import because

# In the order of the summary: what needs somebody first.
STATES = ("broken", "failing", "gave up", "overdue", "held back", "paused", "ongoing", "never ran", "ok")


class Health(NamedTuple):
    """One of STATES, why, and for a backfill job how many of its dates are outstanding."""

    state: str
    why: str = ""
    outstanding_dates: int | None = None


def health_of(step: Step, tick: Tick, zone: tzinfo, tick_interval: timedelta) -> Health:
    """Return the health of a job from what `tick`, the next one, would do with it; cron starts one every
    `tick_interval`."""
    dates = outstanding(step, tick.started, zone)
    number = dates.number if dates else 0
    why = "; ".join(_clauses(step, number, lambda moment: short_time(moment, zone)))
    state = _state_of(step, tick, _due(step, dates, zone), tick_interval)
    return Health(state, why, number if step.job.is_backfill else None)


def outstanding(step: Step, now: datetime, zone: tzinfo) -> OutstandingDates | None:
    """Return the outstanding dates of a backfill job, if it has any."""
    job = step.job
    return outstanding_dates(job.schedule, step.row, now, job.zone or zone) if job.is_backfill else None


def skipped(step: Step, now: datetime, zone: tzinfo) -> tuple[datetime, datetime] | None:
    """Return the first and the last of the outstanding dates that a run skips, because the policy says so."""
    job, catchup = step.job, step.job.policy.catchup
    if not (job.is_backfill and catchup):
        return None
    return dates_to_skip(job.schedule, step.row, now, job.zone or zone, catchup)


def short_time(moment: datetime | None, zone: tzinfo) -> str:
    """Return a time in the zone, to the minute."""
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M}" if moment else "-"


def error_name(row_error: object) -> str:
    """Return `ValueError` for the "<class 'ValueError'>" of a stored error."""
    quoted = re.search(r"'(?:[\w<>]+\.)*([\w<>]+)'", str(row_error))
    return quoted[1] if quoted else str(row_error)


def _state_of(step: Step, tick: Tick, due: datetime | None, tick_interval: timedelta) -> str:
    row, codes = step.row, {condition.code for condition in step.conditions}
    patience = 2 * tick_interval + step.job.schedule.every / 4
    # A slot that no tick has noted yet may be older than the job.
    is_late = due is not None and tick.started - due > patience and step.job.app_name not in tick.newly_noted
    if "ongoing" in codes:
        return "overdue" if is_late else "ongoing"
    for code in ("paused", "gave_up"):
        if code in codes:
            return code.replace("_", " ")
    if step.is_due and not step.runs:
        return "overdue" if is_late and _waits_for_others(step, tick) else "held back"
    if step.runs and is_late:
        return "overdue"
    if row.error_count:
        return "failing"
    if row.last_run is None and row.last_success is None:
        return "never ran"
    return "ok"


def _due(step: Step, dates: OutstandingDates | None, zone: tzinfo) -> datetime | None:
    """Return when the next run is due; of a job that is running, the one after that. A run that makes up for dates may
    take as long as they go back."""
    started = next((each.facts["since"] for each in step.conditions if each.code == "ongoing"), None)
    if started is None:
        # Of a backfill job whose cursor somebody has moved, the next date may be long past.
        return max(filter(None, (step.next_run, step.row.last_run)), default=None) if step.next_run else None
    schedule = step.job.schedule
    due = next_slot(schedule.cron, started, step.job.zone or zone) if schedule.cron else started + schedule.every
    return due + max(started - dates.first, timedelta(0)) if dates else due


def _waits_for_others(step: Step, tick: Tick) -> bool:
    """True if nothing holds back the job but dependencies that are not configured here: perhaps nobody runs them."""
    return all(
        reason.about == "dependency"
        and reason.code != "dependency_paused"
        and reason.facts["dependency"] not in tick.configured
        for reason in step.reasons
    )


def _clauses(step: Step, dates: int, say: Callable[[datetime], str]) -> list[str]:
    row = step.row
    clauses = []
    if step.died:
        clauses.append("the process that ran it died")
    if row.error_count and not step.died:
        times = "once" if row.error_count == 1 else f"{row.error_count} times in a row"
        clauses.append(f"failed {times} ({error_name(row.last_error.get('type'))})")
    clauses += [because(reason, say) for reason in step.reasons if reason.code not in ("not_due", "waiting_for_retry")]
    if step.runs:
        clauses.append("the next tick runs it")
    if dates > 1:
        clauses.append(f"{dates} dates are outstanding")
    return clauses
