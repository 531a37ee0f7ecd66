"""A model of the dates of a job, written from docs/user/ alone: each rule quotes the sentence that it comes from.

It knows nothing of crontabber's own rules, with which tests/test_date_model.py compares it. Jobs are backfill jobs, or
plain ones with a time of day.
"""

from datetime import date, datetime, time, timedelta, timezone
from typing import NamedTuple
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)


class Job(NamedTuple):
    """What holds at a start of crontabber: the job's entry in the configuration, and the server's zone."""

    interval: timedelta
    time: time | None
    zone: ZoneInfo
    backfill: bool = True
    wait: timedelta = timedelta(minutes=5)  # "how long to wait after a failure before the next attempt"


class State(NamedTuple):
    """What crontabber knows of a job between two starts. Every moment is in UTC."""

    noted: datetime | None = None
    noted_for: tuple[time | None, str] | None = None  # the time and the zone at that moment
    first_run: datetime | None = None
    planned: datetime | None = None
    last_success: datetime | None = None
    last_date: date | None = None
    last_date_for: datetime | None = None


def start(state: State, job: Job, now: datetime, failing: int | None = None) -> tuple[State, list[datetime]]:
    """Return the state after a start of crontabber at `now`, and the dates that it ran; a plain job's is `now`.

    `failing` is the index of the date that fails in this start, if it comes to that.
    """
    state = _noted(state, job, now)
    if _planned(state, job) > now:
        return state, []
    if not job.backfill:
        return _plain_run(state._replace(first_run=state.first_run or now), job, now, failing)
    tried: list[datetime] = []
    while (slot := _next_moment(state, job, now)) <= now:
        tried.append(slot)
        state = state._replace(first_run=state.first_run or now)
        if len(tried) - 1 == failing:
            # "At a date that fails it stops, and tries that same date again five minutes later."
            return state._replace(planned=now + job.wait), tried
        state = _done(state, job, slot)
    return state._replace(planned=_next_moment(state, job, now)), tried


def moment(day: date, at: time, zone: ZoneInfo) -> datetime:
    """Return when `day` has its time.

    "In spring, a time that the clocks skip becomes the moment at which they go on; in autumn, a time that they show twice
    is the first of the two."
    """
    late, early = (datetime.combine(day, at, zone).replace(fold=fold).astimezone(timezone.utc) for fold in (0, 1))
    if late.astimezone(zone).replace(tzinfo=None) == datetime.combine(day, at):
        return late
    before, after = early, late
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) // 2
        if middle.astimezone(zone).utcoffset() == early.astimezone(zone).utcoffset():
            before = middle
        else:
            after = middle
    return after.replace(microsecond=0)


def _noted(state: State, job: Job, now: datetime) -> State:
    """ "At the first start of crontabber with the job in its configuration, crontabber notes today's date" and "if the time
    of day or the server's zone changes before the first run, the next start notes its own date in place of the first one".
    """
    if state.first_run or state.noted_for == (job.time, job.zone.key):
        return state
    return state._replace(noted=now, noted_for=(job.time, job.zone.key))


def _planned(state: State, job: Job) -> datetime:
    """ "It runs at the first start at or after its time", and "the run that is planned stays where it is"."""
    return state.planned or (_first_moment(state, job) if job.time else state.noted)


def _first_moment(state: State, job: Job) -> datetime:
    """ "The date that the noted moment has in the new zone", at the job's time."""
    return moment(state.noted.astimezone(job.zone).date(), job.time, job.zone)


def _next_moment(state: State, job: Job, now: datetime) -> datetime:
    """ "A date is an instant. The first one is the time at which the first run started; each of the others is exactly one
    interval after the one before." With a time of day, it is "a calendar date" at that time.
    """
    if job.time:
        return moment(_next_date(state, job), job.time, job.zone)
    return state.last_success + job.interval if state.last_success else state.first_run or now


def _next_date(state: State, job: Job) -> date:
    """ "The date that was done last plus the interval in days"; at first, the noted one."""
    if state.last_success is None:
        return state.noted.astimezone(job.zone).date()
    return _after(_last_date(state, job), job)


def _after(day: date, job: Job) -> date:
    """Return the date after `day`: one "that a zone skips altogether is not a date of a daily job"."""
    following = day + job.interval
    while job.interval == DAY and moment(following, time(0), job.zone).astimezone(job.zone).date() != following:
        following += job.interval
    return following


def _last_date(state: State, job: Job) -> date:
    """ "If `last_success` is another one now, the calendar date is read from it: it is the date of `last_success` in the
    server's zone; or the day before, if the job's time on the day before is less than 15 minutes before `last_success`."
    """
    if state.last_date_for == state.last_success:
        return state.last_date
    day = state.last_success.astimezone(job.zone).date()
    since_day_before = state.last_success - moment(day - DAY, job.time, job.zone)
    return day - DAY if since_day_before < timedelta(minutes=15) else day


def _done(state: State, job: Job, slot: datetime) -> State:
    """ "crontabber keeps the last date that is done in `last_success`. With a time of day, it also keeps the calendar date,
    in `last_date`, and in `last_date_for` the `last_success` that belongs to it."
    """
    if job.time:
        state = state._replace(last_date=_next_date(state, job), last_date_for=slot)
    return state._replace(last_success=slot)


def _plain_run(state: State, job: Job, now: datetime, failing: int | None) -> tuple[State, list[datetime]]:
    """ "Every date gets its run", and "the runs lie that many days apart; a weekly job keeps its weekday through failures
    and days on which the machine was off": a run that comes late is that of all dates that have come.
    """
    if failing == 0:
        return state._replace(planned=now + job.wait), [now]
    day = _next_date(state, job)
    while moment(following := _after(day, job), job.time, job.zone) <= now:
        day = following
    state = state._replace(last_success=now, last_date=day, last_date_for=now)
    return state._replace(planned=moment(following, job.time, job.zone)), [now]
