"""When does a job run next? Pure: times in, times out.

A *slot* is a schedule's local time of day on one of its dates, or a moment of its cron expression. Times are added and
compared in UTC: in any other zone Python calculates with wall-clock times.
"""

import re
from datetime import date, datetime, time, timedelta, tzinfo
from functools import cache
from typing import NamedTuple

from crontabber.errors import FrequencyDefinitionError, TimeDefinitionError
from crontabber.rules.cron import is_cron, is_slot, latest_slot, parse_cron, slots_after, slots_from
from crontabber.rules.job_state import JobState
from crontabber.rules.local_time import DAY, UTC, exists, last_day, local_date, moment_on
from crontabber.rules.text import quoted

UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": DAY}

# Where the slot of a first run cannot be noted, a job whose time is just before midnight may get its first tick just
# after midnight. Without this it never starts.
FIRST_RUN_GRACE = timedelta(minutes=15)

# Stands for every time after the end of datetime. Its last two days are already past the end in some zones.
NEVER = datetime(9999, 12, 30, tzinfo=UTC)

_FREQUENCY = re.compile(r"([0-9]+)([mhd])")
_TIME = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")


class Schedule(NamedTuple):
    """How often a job runs: whole minutes; with `at`, whole days, at that local time. With `cron`, a cron expression of
    five fields, `every` is zero."""

    every: timedelta
    at: time | None = None
    cron: str = ""

    @property
    def has_slots(self) -> bool:
        return self.at is not None or bool(self.cron)


def parse_frequency(text: str) -> timedelta:
    """Parse `3m`, `12h` or `10d`: at least one minute. FrequencyDefinitionError otherwise."""
    match = _FREQUENCY.fullmatch(text)
    try:
        every = int(match[1]) * UNITS[match[2]] if match else timedelta(0)
    except (OverflowError, ValueError):
        raise FrequencyDefinitionError(f"the frequency {quoted(text)} is too long: at most 999999999d") from None
    if not every:
        raise FrequencyDefinitionError(
            f"{quoted(text)} is not a valid frequency: expected a positive whole number and m, h or d, for example 5m"
        )
    return every


def convert_frequency(text: str) -> int:
    """Parse a frequency into seconds."""
    return parse_frequency(text) // timedelta(seconds=1)


def parse_time(text: str) -> time:
    """Parse `03:00`, `3:00` or `21:45`. TimeDefinitionError otherwise."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise TimeDefinitionError(f"{quoted(text)} is not a valid time: expected HH:MM, 00:00 to 23:59")
    return time(int(match[1]), int(match[2]))


def check_time(text: str) -> None:
    """Raise TimeDefinitionError if `text` is not a valid time of day."""
    parse_time(text)


@cache
def parse_schedule(frequency: str, time: str | None) -> Schedule:
    """Parse the frequency, or cron expression, and the time of an entry; without a time, `time` is None or empty."""
    if is_cron(frequency):
        if time:
            raise TimeDefinitionError(f"{frequency} at {time}: a cron expression has a time of its own")
        return Schedule(timedelta(0), cron=parse_cron(frequency))
    every = parse_frequency(frequency)
    if not time:
        return Schedule(every)
    at = parse_time(time)
    if every % DAY:
        raise TimeDefinitionError(f"{frequency} at {time}: a time needs a frequency of whole days, for example 1d")
    return Schedule(every, at)


def is_due(schedule: Schedule, state: JobState | None, now: datetime, zone: tzinfo) -> bool:
    """True if the next run is due. A first run is due at once, or from its noted slot on; without a note, at the first
    tick on its day at or after its time."""
    due_at = None if state is None else state.next_run or (state.first_slot if schedule.has_slots else None)
    if due_at is not None:
        return now.astimezone(UTC) >= due_at
    if schedule.cron:
        slot = latest_slot(schedule.cron, now, zone)
        return slot is not None and (local_date(slot, zone) == local_date(now, zone) or now - slot < FIRST_RUN_GRACE)
    return schedule.at is None or _day_begun(schedule.at, now, zone) is not None


def is_unseen(schedule: Schedule, state: JobState | None) -> bool:
    """True if the job waits for the slot of its first run."""
    return schedule.has_slots and (state is None or state.next_run is None)


def first_slot(schedule: Schedule, noted: datetime | None, now: datetime, zone: tzinfo) -> datetime:
    """Return the slot of the first run: the noted one, or today's if that does not fit the schedule and the clock. In
    place of today's, a cron expression has its next one."""
    if schedule.cron:
        # A slot in this very minute counts: cron itself would start the job.
        coming = next(slots_from(schedule.cron, _minute(now), zone), NEVER)
        return noted if noted is not None and noted <= coming and is_slot(schedule.cron, noted, zone) else coming
    at = schedule.at
    assert at is not None
    today = moment_on(local_date(now, zone), at, zone)
    if noted is not None and noted <= today and moment_on(last_day(noted, at, zone), at, zone) == noted:
        return noted
    return today


def next_run_after_success(
    schedule: Schedule,
    state: JobState | None,
    started: datetime,
    zone: tzinfo,
    forced: bool = False,
    tick_started: datetime | None = None,
) -> datetime:
    """Return when a job that succeeded runs next.

    `state` is the row as it was claimed, `started` the time of the claim, `tick_started` when the tick read the states.
    """
    started = started.astimezone(UTC)
    if schedule.cron:
        return next_slot(schedule.cron, started, zone)
    try:
        if schedule.at is None:
            due = state.next_run.astimezone(UTC) if state is not None and state.next_run is not None else None
            anchor = _phase_anchor(schedule.every, due, started, (tick_started or started).astimezone(UTC))
            return _minute(anchor + schedule.every)
        return slot_after(schedule, day_served(schedule, state, started, zone, forced), zone)
    except OverflowError:
        return NEVER


def next_run_after_failure(failed_at: datetime, retry_after: timedelta) -> datetime:
    """Return the minute in which a job that failed is retried, whatever its schedule."""
    try:
        return _minute(failed_at.astimezone(UTC) + retry_after)
    except OverflowError:
        return NEVER


def next_slot(cron: str, moment: datetime, zone: tzinfo) -> datetime:
    """Return the first slot of a cron expression after `moment`."""
    return next(slots_after(cron, moment, zone), NEVER)


def slot_to_remember(
    schedule: Schedule, state: JobState | None, started: datetime, zone: tzinfo, forced: bool = False
) -> datetime | None:
    """Return the slot to store as `last_success` if the start of the run suggests another date than the slot's.

    After a failure, `next_run` is the time of the retry, so only `last_success` still shows the dates of the slots.
    """
    if schedule.at is None or schedule.every == DAY:
        return None
    day = day_served(schedule, state, started.astimezone(UTC), zone, forced)
    return None if day == day_of(schedule.at, started, zone) else moment_on(day, schedule.at, zone)


def day_served(
    schedule: Schedule, state: JobState | None, started: datetime, zone: tzinfo, forced: bool = False
) -> date:
    """Return the date whose slot a run stands for: of the schedule's dates, the latest whose slot has come."""
    assert schedule.at is not None
    latest = last_day(started, schedule.at, zone)
    if schedule.every == DAY:
        return latest
    anchor = _slot_anchor(state, started, forced)
    anchor_day = day_of(schedule.at, anchor, zone)
    if anchor <= started:
        # A forced run before its time of day stands for its own date. An anchor in the future is only a plan.
        latest = max(latest, anchor_day)
    return anchor_day + (latest - anchor_day) // schedule.every * schedule.every


def day_of(at: time, moment: datetime, zone: tzinfo) -> date:
    """Return the date that a run at `moment` belongs to: its own, or that of a slot just before midnight."""
    return _day_begun(at, moment, zone) or local_date(moment, zone)


def slot_after(schedule: Schedule, day: date, zone: tzinfo) -> datetime:
    """Return the slot one interval after that of `day`. OverflowError if there is none.

    If the zone skips that date, so does a daily job: its slot would fall on the next date, which has one of its own.
    Any other job runs when the clocks go on.
    """
    assert schedule.at is not None
    following = day + schedule.every
    if schedule.every == DAY and not exists(following, zone):
        following += DAY
    return moment_on(following, schedule.at, zone)


def _minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


def _phase_anchor(every: timedelta, due: datetime | None, started: datetime, tick_started: datetime) -> datetime:
    """Return the moment from which a job without a time of day counts its next interval."""
    half = every / 2
    # On time. Cron starts each tick a little late, by a different amount each time: the job keeps its phase.
    if due is not None and due <= tick_started and started - due < half:
        return due
    # A first run, an early or a late one, or one that came due during this tick: the tick sets the phase.
    if started - tick_started < half:
        return tick_started
    # The jobs before it took long.
    return started


def _slot_anchor(state: JobState | None, started: datetime, forced: bool) -> datetime:
    """Return a moment on one of the schedule's dates: all others lie whole intervals before or after it."""
    # A first or a forced run sets the dates anew.
    if forced or state is None:
        return started
    if state.next_run is None:
        return state.first_slot or started
    # After a failure or RetryLater, `next_run` is the time of the next attempt, not a slot.
    if state.error_count or state.last_error:
        return state.last_success or state.first_slot or state.first_run or started
    # Otherwise it is the slot that was planned.
    return state.next_run


def _day_begun(at: time, moment: datetime, zone: tzinfo) -> date | None:
    """Return the date whose slot came earlier today, or yesterday within FIRST_RUN_GRACE. None if there is none."""
    day = last_day(moment, at, zone)
    if day >= local_date(moment, zone) or moment - moment_on(day, at, zone) < FIRST_RUN_GRACE:
        return day
    return None
