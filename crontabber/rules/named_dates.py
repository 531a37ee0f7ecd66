"""Which date of a backfill job does somebody mean? Pure.

A date is written as `2026-11-20`, `2026-11-20T06:00`, or with an offset; without one, in the job's zone.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta, tzinfo

from crontabber.errors import NoSuchDateError
from crontabber.rules.backfill import calendar_date_done, date_after
from crontabber.rules.cron import latest_slot, slots_from
from crontabber.rules.job import Job
from crontabber.rules.job_state import JobState
from crontabber.rules.local_time import DAY, UTC, exists, last_day, local_date, moment_on
from crontabber.rules.schedule import NEVER

FORM = "expected a date such as 2026-11-20 or 2026-11-20T06:00"


def date_named(text: str, job: Job, row: JobState, zone: tzinfo) -> datetime:
    """Return the date that is meant, in UTC. NoSuchDateError, with the two nearest, if there is none such."""
    try:
        return _date_named(text, job, row, job.zone or zone)
    except OverflowError:
        raise NoSuchDateError(f"{text} is too near the end of the calendar") from None


def _date_named(text: str, job: Job, row: JobState, zone: tzinfo) -> datetime:
    first, after = _span(text, zone)
    slots = list(_slots_from(first, after, job, row, zone))
    if len(slots) == 1:
        return slots[0]
    if slots:
        raise NoSuchDateError(
            f"{job.app_name} has {len(slots)} dates on {text}: name one of them, such as {shown(slots[0], zone)}"
        )
    before, following = _neighbours(first, job, row, zone)
    raise NoSuchDateError(
        f"{text} is none of the dates of {job.app_name}:"
        f" the nearest are {shown(before, zone)} and {shown(following, zone)}"
    )


def dates_between(first: datetime, last: datetime, job: Job, zone: tzinfo) -> list[datetime]:
    """Return the dates from `first` to `last`, in UTC, both of which are dates of the job; aware, in `zone`."""
    found = []
    while first <= last:
        found.append(first.astimezone(job.zone or zone))
        first = date_after(job.schedule, first, job.zone or zone)
    return found


def dates_on(day: date, job: Job, row: JobState, zone: tzinfo) -> list[datetime]:
    """Return the dates on a calendar day, none if the job has never run; aware, in `zone`."""
    zone = job.zone or zone
    try:
        return [slot.astimezone(zone) for slot in _slots_from(*_span(str(day), zone), job, row, zone)]
    except NoSuchDateError:
        return []


def date_before(moment: datetime, job: Job, zone: tzinfo) -> datetime:
    """Return the date before the one at `moment`."""
    schedule, zone = job.schedule, job.zone or zone
    if schedule.cron:
        return latest_slot(schedule.cron, moment - timedelta.resolution, zone) or moment
    if schedule.at is None:
        return moment.astimezone(UTC) - schedule.every
    day = last_day(moment, schedule.at, zone) - schedule.every
    if schedule.every == DAY and not exists(day, zone):
        day -= DAY
    return moment_on(day, schedule.at, zone)


def shown(moment: datetime, zone: tzinfo) -> str:
    """Return a date as it can be named: dates are at least a minute apart."""
    local = moment.astimezone(zone)
    return local.isoformat(timespec="seconds" if local.second or local.microsecond else "minutes")


def shown_range(dates: Sequence[datetime], zone: tzinfo) -> str:
    """Return the only date, or the number of dates, the first and the last."""
    if len(dates) == 1:
        return shown(dates[0], zone)
    return f"{len(dates)} dates, {shown(dates[0], zone)} to {shown(dates[-1], zone)}"


def _span(text: str, zone: tzinfo) -> tuple[datetime, datetime]:
    """Return the instants between which the date lies: a day, a minute, a second, or an instant."""
    text = text.strip()
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise NoSuchDateError(f"{text!r} is not a date: {FORM}") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    if len(text) <= len("2026-11-20"):
        following = datetime.combine(moment.date() + DAY, moment.timetz())
        return moment.astimezone(UTC), following.astimezone(UTC)
    seconds, fraction = text.count(":", 0, 19) > 1, "." in text
    unit = timedelta(microseconds=1) if fraction else timedelta(seconds=1 if seconds else 60)
    return moment.astimezone(UTC), moment.astimezone(UTC) + unit


def _slots_from(first: datetime, after: datetime, job: Job, row: JobState, zone: tzinfo) -> Iterator[datetime]:
    """Yield the dates in [first, after)."""
    slot = _neighbours(first, job, row, zone)[1]
    while slot < after:
        yield slot
        slot = date_after(job.schedule, slot, zone)


def _neighbours(moment: datetime, job: Job, row: JobState, zone: tzinfo) -> tuple[datetime, datetime]:
    """Return the last date before `moment`, and the first at or after it."""
    schedule = job.schedule
    known = row.last_success or row.first_slot or row.first_run
    if known is None:
        raise NoSuchDateError(f"{job.app_name} has never run, so it has no dates yet")
    if schedule.cron:
        following = next(slots_from(schedule.cron, moment, zone), NEVER)
    elif schedule.at is None:
        anchor = known.astimezone(UTC)
        following = anchor + -((anchor - moment) // schedule.every) * schedule.every
    else:
        anchor_day = _anchor_day(known, job, row, zone)
        day: date = anchor_day + -((anchor_day - local_date(moment, zone)) // schedule.every) * schedule.every
        following = moment_on(day, schedule.at, zone)
        if following < moment:
            following = date_after(schedule, following, zone)
    return date_before(following, job, zone), following


def _anchor_day(known: datetime, job: Job, row: JobState, zone: tzinfo) -> date:
    at = job.schedule.at
    assert at is not None
    return calendar_date_done(at, row, zone) if row.last_success else last_day(known, at, zone)
