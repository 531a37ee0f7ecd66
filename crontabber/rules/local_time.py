"""At what instant is it HH:MM on a local date? Pure: dates and a zone in, instants in UTC out."""

from datetime import date, datetime, time, timedelta, timezone, tzinfo

# For calculations: quicker than datetimeutil.UTC.
UTC = timezone.utc
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
MIDNIGHT = time()


def moment_on(day: date, at: time, zone: tzinfo) -> datetime:
    """Return when it is `at` on `day`: the first time in an overlap, and the end of the gap if the clocks skip it."""
    wall = datetime.combine(day, at.replace(fold=0))
    moment = wall.replace(tzinfo=zone).astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) == wall:
        return moment
    return _end_of_gap(wall.replace(tzinfo=zone, fold=1).astimezone(UTC), moment, zone)


def last_day(moment: datetime, at: time, zone: tzinfo) -> date:
    """Return the latest date whose `at` has come by `moment`."""
    day = local_date(moment, zone) + DAY
    while moment_on(day, at, zone) > moment:
        day -= DAY
    return day


def local_date(moment: datetime, zone: tzinfo) -> date:
    return moment.astimezone(zone).date()


def exists(day: date, zone: tzinfo) -> bool:
    """False for a date that a zone skipped: Samoa went from 29 to 31 December 2011."""
    return local_date(moment_on(day, MIDNIGHT, zone), zone) == day


def _end_of_gap(before: datetime, after: datetime, zone: tzinfo) -> datetime:
    """Return the instant between the two, to the second, at which the clocks change."""
    changed = after.astimezone(zone).utcoffset()
    while after - before > SECOND:
        middle = before + (after - before) // SECOND // 2 * SECOND
        if middle.astimezone(zone).utcoffset() == changed:
            after = middle
        else:
            before = middle
    return after
