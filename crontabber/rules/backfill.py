"""Which dates does a backfill job still have to run? Pure: times in, times out."""

from collections.abc import Iterator
from datetime import datetime, tzinfo

from crontabber.rules.job_state import JobState
from crontabber.rules.local_time import UTC
from crontabber.rules.schedule import NEVER, Schedule, day_of, slot_after


def backfill_dates(schedule: Schedule, state: JobState | None, now: datetime, zone: tzinfo) -> Iterator[datetime]:
    """Yield the dates that are still to run, up to and including `now`, in order; aware, in `zone`."""
    now = now.astimezone(UTC)
    moment = _first_date(schedule, state, now, zone)
    while moment <= now:
        yield moment.astimezone(zone)
        moment = date_after(schedule, moment, zone)


def count_backfill_dates(schedule: Schedule, state: JobState | None, now: datetime, zone: tzinfo) -> int:
    """Count the dates of backfill_dates()."""
    if schedule.at is not None:
        return sum(1 for _ in backfill_dates(schedule, state, now, zone))
    now = now.astimezone(UTC)
    return max(0, (now - _first_date(schedule, state, now, zone)) // schedule.every + 1)


def date_after(schedule: Schedule, moment: datetime, zone: tzinfo) -> datetime:
    """Return the date after the one at `moment`.

    A backfill job runs next at exactly this time, so that it is due when, and only when, it has a date to run.
    """
    try:
        if schedule.at is None:
            return moment.astimezone(UTC) + schedule.every
        return slot_after(schedule, day_of(schedule.at, moment, zone), zone)
    except OverflowError:
        return NEVER


def _first_date(schedule: Schedule, state: JobState | None, now: datetime, zone: tzinfo) -> datetime:
    """Return the first date that is still to run. If the very first one failed, that is the time of the first run."""
    if state is not None and state.last_success is not None:
        return date_after(schedule, state.last_success, zone)
    if state is not None and state.first_run is not None and (state.error_count or state.last_error):
        return state.first_run
    return now
