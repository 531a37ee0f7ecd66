"""A model of the dates of a job, written from docs/user/ alone: each rule quotes the sentence that it comes from.

It knows nothing of crontabber's own rules, with which tests/test_date_model.py compares it.
"""

from datetime import date, datetime, time, timedelta, timezone
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)


class Job(NamedTuple):
    """What holds at a start of crontabber: the job's entry in the configuration, and the server's zone."""

    interval: timedelta
    time: time | None
    zone: ZoneInfo
    backfill: bool = True
    cron: str = ""


class State(NamedTuple):
    """What crontabber knows of a job between two starts; moments are in UTC."""

    noted: datetime | None = None
    first_run: datetime | None = None
    planned: datetime | None = None
    has_failed: bool = False
    last_success: datetime | None = None
    last_date: date | None = None
    last_date_for: datetime | None = None


def start(
    state: State, job: Job, now: datetime, failing: int | None = None, is_held_back: bool = False
) -> tuple[State, list[datetime]]:  # fmt: skip
    """Return the state after a start of crontabber at `now`, and the dates that it ran; a plain job's is `now`.

    `failing` is the index of the date that fails in this start, if it comes to that.
    """
    if (job.time or job.cron) and not state.first_run:
        state = state._replace(noted=(_noted_slot if job.cron else _noted)(state, job, now))
    # "It runs at the first start at or after" its first date, and "the run that is planned stays where it is".
    if is_held_back or (state.planned or (next_moment(state, job) if job.time or job.cron else now)) > now:
        return state, []
    state = state._replace(first_run=state.first_run or now)
    return (_backfill_run if job.backfill else plain_run)(state, job, now, failing)


def moment(day: date, at: time, zone: ZoneInfo) -> datetime:
    """Return when `day` has its time.

    "In spring, a time that the clocks skip becomes the moment at which they go on; in autumn, a time that they show twice
    is the first of the two."
    """
    after, before = (datetime.combine(day, at, zone).replace(fold=fold).astimezone(timezone.utc) for fold in (0, 1))
    if after.astimezone(zone).replace(tzinfo=None) == datetime.combine(day, at):
        return after
    skipped_to = after.astimezone(zone).utcoffset()
    while after - before > SECOND:
        middle = before + (after - before) // 2
        before, after = (before, middle) if middle.astimezone(zone).utcoffset() == skipped_to else (middle, after)
    return after.replace(microsecond=0)


def _noted(state: State, job: Job, now: datetime) -> datetime:
    """ "Crontabber notes the moment at which today has the job's time", and "if the time of day or the server's zone changes
    before the first run, the next start notes its own date in place of the first one, unless the noted moment is still the
    job's time, on a date that has come".
    """
    today = moment(now.astimezone(job.zone).date(), job.time, job.zone)
    if state.noted and moment(_date_of(state.noted, job, SECOND), job.time, job.zone) == state.noted <= today:
        return state.noted
    return today


@cache
def slots_on(day: date, job: Job) -> list[datetime]:
    """Return the slots of a cron expression on a local date, in the few forms that histories have.

    "An expression whose minute or hour begins with ``*`` fits whatever the clock shows: nothing while it skips an hour,
    everything twice while it shows one twice. For any other expression, times that the clocks skip become the moment at
    which they go on, once; of a time that they show twice, the first counts."
    """
    minute, hour, day_of_month, _, weekday = job.cron.split()
    is_last = (day + DAY).month != day.month
    if not {"*": True, "1": day.day == 1, "L": is_last, "1,15": day.day in (1, 15)}[day_of_month]:
        return []
    if not {"*": True, "1-5": day.weekday() < 5, "MON,THU": day.weekday() in (0, 3)}[weekday]:
        return []
    minutes, hours = _values(minute, 60), _values(hour, 24)
    if "*" not in minute[0] + hour[0]:
        return sorted({moment(day, time(each_hour, each), job.zone) for each_hour in hours for each in minutes})
    start = datetime.combine(day - DAY, time(0), timezone.utc)
    # All minutes that the expressions of the histories have, in any zone.
    every = (start + number * timedelta(minutes=5) for number in range(3 * 24 * 12))
    local = ((each, each.astimezone(job.zone)) for each in every)
    return [each for each, wall in local if wall.date() == day and wall.hour in hours and wall.minute in minutes]


def _values(field: str, end: int) -> set[int]:
    first, _, step = field.partition("/")
    return set(range(0, end, int(step or 1))) if first == "*" else {int(each) for each in field.split(",")}


def slot_from(then: datetime, job: Job, including: bool = False) -> datetime:
    """Return the first slot of a cron expression after a moment, or at it."""
    day = then.astimezone(job.zone).date() - DAY  # The clocks may skip the last slots of a day up to midnight.
    while True:
        for slot in slots_on(day, job):
            if slot > then or (including and slot == then):
                return slot
        day += DAY


def _noted_slot(state: State, job: Job, now: datetime) -> datetime:
    """ "It notes the job's next slot, or that of the same minute"; "the next start of crontabber notes the next slot
    instead, unless the noted one is a slot still".
    """
    coming = slot_from(now.replace(second=0, microsecond=0), job, including=True)
    if state.noted and state.noted <= coming and slot_from(state.noted, job, including=True) == state.noted:
        return state.noted
    return coming


def _backfill_run(state: State, job: Job, now: datetime, failing: int | None) -> tuple[State, list[datetime]]:
    """ "It goes on with the date that failed, then with the next one, until it has come to today. At a date that fails it
    stops, and tries that same date again five minutes later."
    """
    tried: list[datetime] = []
    while (slot := next_moment(state, job)) <= now:
        tried.append(slot)
        if len(tried) - 1 == failing:
            return state._replace(planned=_retry(now)), tried
        state = done(state, job, slot)
    return state._replace(planned=slot), tried


def done(state: State, job: Job, slot: datetime) -> State:
    """Return the state after a date is done. "With a time of day, it also keeps the calendar date." """
    if job.time:
        state = state._replace(last_date=_date_of(slot, job), last_date_for=slot)
    return state._replace(last_success=slot)


def plain_run(state: State, job: Job, now: datetime, failing: int | None) -> tuple[State, list[datetime]]:
    """ "A daily job runs next at its first time after the start of a run that succeeded." "With more than one day, the runs
    lie that many days apart" and "count from the date of the run that was planned; after a failure from that of
    `last_success`, or if there was no success, from the noted one, or the first run of a job that had no time of day then".
    """
    if failing == 0:
        return state._replace(planned=_retry(now), has_failed=True), [now]
    done = state._replace(has_failed=False, last_success=now)
    if job.cron:
        return done._replace(planned=slot_from(now, job)), [now]
    if not job.time:
        return done._replace(planned=_next_interval(state, job, now)), [now]
    counted_from = (state.last_success if state.has_failed else state.planned) or state.noted or state.first_run
    day = _date_of(now, job) - DAY if job.interval == DAY else _date_of(counted_from, job)
    while counted_from > now and moment(day, job.time, job.zone) > now:
        day -= job.interval  # The slot that is noted belongs to a schedule that the first run did not wait for.
    while (following := moment(_date_after(day, job), job.time, job.zone)) <= now:
        day = _date_after(day, job)
    # "The time at which the run started, or the job's time on the date that the run stands for, if that is another date."
    has_other_date = job.interval > DAY and day != _date_of(now, job)
    success = moment(day, job.time, job.zone) if has_other_date else now
    return state._replace(planned=following, has_failed=False, last_success=success), [now]


def _next_interval(state: State, job: Job, now: datetime) -> datetime:
    """ "Runs lie on whole minutes, and one that comes late by less than half its interval does not shift the next."."""
    is_in_phase = state.planned is not None and timedelta(0) <= now - state.planned < job.interval / 2
    return ((state.planned if is_in_phase else now) + job.interval).replace(second=0, microsecond=0)


def _retry(now: datetime) -> datetime:
    """ "Seconds are dropped: a job that failed at 12:00:03 is retried from 12:05:00 on"."""
    return (now + timedelta(minutes=5)).replace(second=0, microsecond=0)


def next_moment(state: State, job: Job) -> datetime:
    """ "A date is an instant. The first one is the time at which the first run started; each of the others is exactly one
    interval after the one before." With a time of day, it is "a calendar date" at that time.
    """
    if job.cron and state.last_success:
        return slot_from(state.last_success, job)
    if job.cron:  # "Begins with its first slot at or after the noted one."
        return slot_from(state.noted or _latest_slot(state.first_run, job), job, including=True)
    if job.time:
        return moment(_next_date(state, job), job.time, job.zone)
    return state.last_success + job.interval if state.last_success else state.first_run


def _next_date(state: State, job: Job) -> date:
    """ "The date that was done last plus the interval in days"; first, "the date that the noted moment has in the new
    zone"; without a noted moment, "that of the latest slot by the start of the first run".
    """
    if state.last_success:
        is_known = state.last_date_for == state.last_success
        return _date_after(state.last_date if is_known else _date_of(state.last_success, job), job)
    if state.noted:
        return _date_of(state.noted, job, SECOND)  # the day before only if the clocks skip its time up to midnight
    day = state.first_run.astimezone(job.zone).date()
    return day if moment(day, job.time, job.zone) <= state.first_run else day - DAY


def _date_after(day: date, job: Job) -> date:
    """Return the date after `day`: one "that a zone skips altogether" is "not a date of a daily job"."""
    day += job.interval
    is_skipped = moment(day, time(0), job.zone).astimezone(job.zone).date() != day
    return day + DAY if is_skipped and job.interval == DAY else day


def _date_of(then: datetime, job: Job, late: timedelta = timedelta(minutes=15)) -> date:
    """ "It is the date of `last_success` in the server's zone; or the day before, if the job's time came last on that day,
    less than 15 minutes before `last_success`."
    """
    day = then.astimezone(job.zone).date()
    today, day_before = (moment(date_, job.time, job.zone) for date_ in (day, day - DAY))
    return day - DAY if today > then and then - day_before < late else day


def _latest_slot(then: datetime, job: Job) -> datetime:
    """A job that had no slots when its first date failed: "its first date is then that of the latest slot"."""
    day = then.astimezone(job.zone).date() + DAY
    while True:
        for slot in reversed(slots_on(day, job)):
            if slot <= then:
                return slot
        day -= DAY
