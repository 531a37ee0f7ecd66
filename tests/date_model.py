"""A model of the dates of a job, written from docs/user/ alone: each rule quotes the sentence that it comes from.

It knows nothing of crontabber's own rules, with which tests/test_date_model.py compares it. Jobs are backfill jobs, or
plain ones with a time of day.
"""

from datetime import date, datetime, time, timedelta, timezone
from typing import NamedTuple
from zoneinfo import ZoneInfo

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)


class Job(NamedTuple):
    """What holds at a start of crontabber: the job's entry in the configuration, and the server's zone."""

    interval: timedelta
    time: time | None
    zone: ZoneInfo
    backfill: bool = True


class State(NamedTuple):
    """What crontabber knows of a job between two starts; moments are in UTC."""

    noted: datetime | None = None
    first_run: datetime | None = None
    planned: datetime | None = None
    has_failed: bool = False
    last_success: datetime | None = None
    last_date: date | None = None
    last_date_for: datetime | None = None


def start(state: State, job: Job, now: datetime, failing: int | None = None) -> tuple[State, list[datetime]]:
    """Return the state after a start of crontabber at `now`, and the dates that it ran; a plain job's is `now`.

    `failing` is the index of the date that fails in this start, if it comes to that.
    """
    if job.time and not state.first_run:
        state = state._replace(noted=_noted(state, job, now))
    # "It runs at the first start at or after" its first date, and "the run that is planned stays where it is".
    if (state.planned or (_next_moment(state, job) if job.time else now)) > now:
        return state, []
    state = state._replace(first_run=state.first_run or now)
    return (_backfill_run if job.backfill else _plain_run)(state, job, now, failing)


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


def _backfill_run(state: State, job: Job, now: datetime, failing: int | None) -> tuple[State, list[datetime]]:
    """ "It goes on with the date that failed, then with the next one, until it has come to today. At a date that fails it
    stops, and tries that same date again five minutes later."
    """
    tried: list[datetime] = []
    while (slot := _next_moment(state, job)) <= now:
        tried.append(slot)
        if len(tried) - 1 == failing:
            return state._replace(planned=_retry(now)), tried
        # "With a time of day, it also keeps the calendar date."
        if job.time:
            state = state._replace(last_date=_date_of(slot, job), last_date_for=slot)
        state = state._replace(last_success=slot)
    return state._replace(planned=slot), tried


def _plain_run(state: State, job: Job, now: datetime, failing: int | None) -> tuple[State, list[datetime]]:
    """ "A daily job runs next at its first time after the start of a run that succeeded." "With more than one day, the runs
    lie that many days apart" and "count from the date of the run that was planned; after a failure from that of
    `last_success`, or from the noted one if there was no success".
    """
    if failing == 0:
        return state._replace(planned=_retry(now), has_failed=True), [now]
    counted_from = (state.last_success if state.has_failed else state.planned) or state.noted
    day = _date_of(now, job) - DAY if job.interval == DAY else _date_of(counted_from, job)
    while (following := moment(_date_after(day, job), job.time, job.zone)) <= now:
        day = _date_after(day, job)
    # "The time at which the run started, or the job's time on the date that the run stands for, if that is another date."
    has_other_date = job.interval > DAY and day != _date_of(now, job)
    success = moment(day, job.time, job.zone) if has_other_date else now
    return state._replace(planned=following, has_failed=False, last_success=success), [now]


def _retry(now: datetime) -> datetime:
    """ "Seconds are dropped: a job that failed at 12:00:03 is retried from 12:05:00 on"."""
    return (now + timedelta(minutes=5)).replace(second=0, microsecond=0)


def _next_moment(state: State, job: Job) -> datetime:
    """ "A date is an instant. The first one is the time at which the first run started; each of the others is exactly one
    interval after the one before." With a time of day, it is "a calendar date" at that time.
    """
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
