"""Before the jobs of a tick run: note when those run that never ran, and correct what a wrong clock has planned."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, tzinfo
from typing import Any

from crontabber.datetimeutil import host_time
from crontabber.errors import StateDatabaseError
from crontabber.rules.backfill import date_after
from crontabber.rules.job import Job
from crontabber.rules.job_state import JobState
from crontabber.rules.schedule import is_unseen
from crontabber.rules.tick import first_slots
from crontabber.rules.wrong_clock import corrected, is_ahead, last_date_by, ran_in_the_future

CORRECTION = (
    "%s last ran at %s, which is still to come: a clock was ahead. Its next run was planned for %s, and is now for %s"
)
RESTART = (
    "%s first ran at %s, which is still to come: a clock was ahead. None of its dates is done, so it starts anew, like"
    " one that never ran"
)
CURSOR_AHEAD = (
    "%s is done up to %s, which is still to come: a clock was ahead, and it runs for no date before that. To run those"
    " that are still to come once more: --rewind=%s --to=%s"
)


def note_first_slots(store: Any, tick: Any, jobs: Sequence[Job]) -> None:
    """Note the slot of the first run of each job that has slots, so that a later tick serves it, too."""
    plans = getattr(store, "plans", None)
    if plans is None or not any(is_unseen(job.schedule, tick.states.get(job.app_name)) for job in jobs):
        return
    changed = first_slots(jobs, tick, store.zone)
    if changed:
        # What cannot be noted now is noted by the next tick.
        with suppress(StateDatabaseError):
            for name in plans.note_first_slots(changed):
                tick.note(name, changed[name][1])


def correct_plans(store: Any, tick: Any, jobs: Sequence[Job], logger: Any) -> None:
    """Plan the jobs anew that a tick with a clock that was ahead has planned for the future. Report what is left."""
    # If our own clock is behind, only the database's tells what the future is.
    now = max(tick.started, getattr(store, "server_now", None) or tick.started)
    changed: dict[str, tuple[datetime | None, datetime | None]] = {}
    for job in ran_in_the_future(jobs, tick.states, now):
        state = tick.states[job.app_name]
        planned = corrected(job, state, now, store.zone)
        if planned is not None:
            changed[job.app_name] = (state.next_run, planned.next_run)
            tick.states[job.app_name] = planned
            logger.warning(*_correction(job, state, planned, now))
        elif job.is_backfill and is_ahead(state.last_success, now):
            logger.warning(*cursor_ahead(job, state, now, store.zone))
    if changed:
        _store(store, tick, changed)


def cursor_ahead(job: Job, state: JobState, now: datetime, zone: tzinfo) -> tuple[str, ...]:
    """Return a message and its arguments: the cursor of a backfill job is ahead of time."""
    from crontabber.rules.named_dates import shown  # Seldom needed.

    following = date_after(job.schedule, last_date_by(job, state, now, zone), zone)
    done = host_time(state.last_success or following)
    return CURSOR_AHEAD, job.app_name, done, job.app_name, shown(following, zone)


def _store(store: Any, tick: Any, changed: dict[str, tuple[datetime | None, datetime | None]]) -> None:
    plans = getattr(store, "plans", None)
    if plans is None:
        for app_name in changed:
            store.store(tick.states[app_name])
        return
    # What cannot be stored now is corrected by the next tick.
    with suppress(StateDatabaseError):
        plans.change(changed)


def _correction(job: Job, state: JobState, planned: JobState, now: datetime) -> tuple[str, ...]:
    if planned.next_run is None:
        return RESTART, job.app_name, host_time(state.first_run or now)
    last_run = max(filter(None, (state.last_run, state.last_success)))
    plans = host_time(state.next_run or now), host_time(planned.next_run)
    return CORRECTION, job.app_name, host_time(last_run), *plans
