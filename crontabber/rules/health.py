"""How is a job? A word and a clause for people. Pure."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from typing import NamedTuple

from crontabber.rules.backfill import OutstandingDates, outstanding_dates
from crontabber.rules.plan import Step
from crontabber.rules.words import because

# In the order of the summary: what needs somebody first.
STATES = ("broken", "failing", "gave up", "overdue", "held back", "paused", "ongoing", "never ran", "ok")

# How often cron starts crontabber. A job is overdue after two of it and a quarter of the job's own interval.
TICK_INTERVAL = timedelta(minutes=5)


class Health(NamedTuple):
    """One of STATES, why, and for a backfill job how many of its dates are outstanding."""

    state: str
    why: str = ""
    outstanding_dates: int | None = None


def health_of(step: Step, now: datetime, zone: tzinfo) -> Health:
    """Return the health of a job from what the next tick would do with it."""
    dates = outstanding(step, now, zone)
    number = dates.number if dates else 0
    why = "; ".join(_clauses(step, number, lambda moment: short_time(moment, zone)))
    return Health(state_of(step, now), why, number if step.job.is_backfill else None)


def outstanding(step: Step, now: datetime, zone: tzinfo) -> OutstandingDates | None:
    """Return the outstanding dates of a backfill job, if it has any."""
    job = step.job
    return outstanding_dates(job.schedule, step.row, now, job.zone or zone) if job.is_backfill else None


def short_time(moment: datetime | None, zone: tzinfo) -> str:
    """Return a time in the zone, to the minute."""
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M}" if moment else "-"


def state_of(step: Step, now: datetime) -> str:
    row, codes = step.row, {condition.code for condition in step.conditions}
    for code in ("ongoing", "paused", "gave_up"):
        if code in codes:
            return code.replace("_", " ")
    if step.is_due and not step.runs:
        return "held back"
    patience = 2 * TICK_INTERVAL + step.job.schedule.every / 4
    if step.runs and step.next_run and now - step.next_run > patience:
        return "overdue"
    if row.error_count:
        return "failing"
    if row.last_run is None and row.last_success is None:
        return "never ran"
    return "ok"


def error_name(row_error: object) -> str:
    """Return `ValueError` for the "<class 'ValueError'>" of a stored error."""
    quoted = re.search(r"'(?:[\w<>]+\.)*([\w<>]+)'", str(row_error))
    return quoted[1] if quoted else str(row_error)


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
