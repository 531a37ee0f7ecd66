"""Which dates does a backfill job still have to run? Pure: times in, times out.

With a time of day a date is a calendar date: the next one is one interval after the last one that is done, at that time
in the zone that holds now. Without one, dates are instants; with a cron expression, its slots.
"""

from collections import deque
from collections.abc import Iterator
from datetime import date, datetime, time, tzinfo
from itertools import takewhile
from typing import NamedTuple

from crontabber.rules.cron import latest_slot, slots_from
from crontabber.rules.job_state import JobState
from crontabber.rules.local_time import UTC, last_day, local_date, moment_on
from crontabber.rules.schedule import NEVER, Schedule, day_of, next_slot, slot_after


def backfill_dates(schedule: Schedule, state: JobState | None, now: datetime, zone: tzinfo) -> Iterator[datetime]:
    """Yield the dates that are still to run, up to and including `now`, in order; aware, in `zone`."""
    now = now.astimezone(UTC)
    dates = dates_from(schedule, _first_date(schedule, state, now, zone), zone)
    return (moment.astimezone(zone) for moment in takewhile(lambda moment: moment <= now, dates))


def dates_from(schedule: Schedule, moment: datetime, zone: tzinfo) -> Iterator[datetime]:
    """Yield all dates from the one at `moment` on, in UTC."""
    if schedule.cron:
        yield from slots_from(schedule.cron, moment, zone)
    while not schedule.cron:
        yield moment
        moment = date_after(schedule, moment, zone)


def dates_to_skip(
    schedule: Schedule, state: JobState | None, now: datetime, zone: tzinfo, catchup: int
) -> tuple[datetime, datetime] | None:
    """Return the first and the last of the outstanding dates that are older than the newest `catchup` ones. None if
    there are no such dates."""
    first, newest = None, deque[datetime](maxlen=catchup + 1)
    for moment in backfill_dates(schedule, state, now, zone):
        first = first or moment
        newest.append(moment)
    return (first, newest[0]) if first is not None and len(newest) > catchup else None


def count_backfill_dates(schedule: Schedule, state: JobState | None, now: datetime, zone: tzinfo) -> int:
    """Count the dates of backfill_dates()."""
    if schedule.has_slots:
        return sum(1 for _ in backfill_dates(schedule, state, now, zone))
    now = now.astimezone(UTC)
    return max(0, (now - _first_date(schedule, state, now, zone)) // schedule.every + 1)


class OutstandingDates(NamedTuple):
    """The dates that are still to run: how many, the first and the last of them."""

    number: int
    first: datetime
    last: datetime


def outstanding_dates(
    schedule: Schedule, state: JobState, now: datetime, zone: tzinfo
) -> OutstandingDates | None:  # fmt: skip
    """Return which dates are outstanding. None if there are none: a job that waits for its first slot has no date."""
    waits = state.first_run is None and state.first_slot is not None and state.first_slot > now
    number = 0 if waits else count_backfill_dates(schedule, state, now, zone)
    if not number:
        return None
    dates = backfill_dates(schedule, state, now, zone)
    first = last = next(dates)
    if not schedule.has_slots:
        last = (first.astimezone(UTC) + (number - 1) * schedule.every).astimezone(zone)
    else:
        last = max(dates, default=first)
    return OutstandingDates(number, first, last)


def next_date(schedule: Schedule, state: JobState, zone: tzinfo) -> datetime | None:
    """Return the date after the last one that is done, or the first one if its slot is noted. None if neither is known.

    A backfill job runs next at exactly this time, so that it is due when, and only when, it has a date to run.
    """
    if state.last_success is not None:
        return _date_after_the_last(schedule, state, zone)
    if schedule.has_slots and state.first_slot is not None:
        return _noted_date(schedule, state.first_slot, zone)
    return None


def date_after(schedule: Schedule, moment: datetime, zone: tzinfo) -> datetime:
    """Return the date after the one at `moment`."""
    if schedule.cron:
        return next_slot(schedule.cron, moment, zone)
    try:
        if schedule.at is None:
            return moment.astimezone(UTC) + schedule.every
        return slot_after(schedule, day_of(schedule.at, moment, zone), zone)
    except OverflowError:
        return NEVER


def calendar_date(at: time, moment: datetime, zone: tzinfo) -> date:
    """Return the calendar date of a date that is done."""
    return day_of(at, moment, zone)


def calendar_date_done(at: time, state: JobState, zone: tzinfo) -> date:
    """Return the calendar date of the last date that is done; `last_success` says that there is one."""
    assert state.last_success is not None
    # The original, or a person, may have stored another success since: then its date counts.
    noted = state.last_date is not None and state.last_date_for is not None
    if noted and state.last_date_for.astimezone(UTC) == state.last_success.astimezone(UTC):  # type: ignore[union-attr]
        return state.last_date  # type: ignore[return-value]
    return day_of(at, state.last_success, zone)


def _first_date(schedule: Schedule, state: JobState | None, now: datetime, zone: tzinfo) -> datetime:
    """Return the first date that is still to run. If the very first one failed, it counts from the first run.

    Of a failure before the time of day changed, the run that found the date still to come leaves only the first slot.
    """
    state = state or JobState("")
    if state.last_success is not None:
        return _date_after_the_last(schedule, state, zone)
    failed = state.error_count or state.last_error or state.first_slot is not None
    start = state.first_run if failed and state.first_run else now
    if not schedule.has_slots:
        return start
    if state.first_slot is not None:
        return _noted_date(schedule, state.first_slot, zone)
    if schedule.at is None:
        return latest_slot(schedule.cron, start, zone) or next_slot(schedule.cron, start, zone)
    return moment_on(last_day(start, schedule.at, zone), schedule.at, zone)


def _date_after_the_last(schedule: Schedule, state: JobState, zone: tzinfo) -> datetime:
    assert state.last_success is not None
    if schedule.at is None:
        return date_after(schedule, state.last_success, zone)
    try:
        return slot_after(schedule, calendar_date_done(schedule.at, state, zone), zone)
    except OverflowError:
        return NEVER


def _noted_date(schedule: Schedule, slot: datetime, zone: tzinfo) -> datetime:
    """Return the first date of a job whose first slot is noted. Its schedule or zone may have changed since."""
    if schedule.at is None:
        return next(slots_from(schedule.cron, slot, zone), NEVER)
    day = last_day(slot, schedule.at, zone)
    if moment_on(day, schedule.at, zone) == slot:
        return slot
    return moment_on(local_date(slot, zone), schedule.at, zone)
