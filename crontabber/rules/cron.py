"""When is it time by a cron expression? Pure: an expression, a moment and a zone in; moments in UTC out.

cronsim does the work. It is imported only where a job has an expression.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo
from typing import Any

from crontabber.errors import FrequencyDefinitionError
from crontabber.rules.local_time import UTC
from crontabber.rules.text import quoted

NAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
}

# No clocks go back by more.
LONGEST_OVERLAP = timedelta(hours=3)

_ANY_DAY = datetime(2000, 1, 1, tzinfo=UTC)


def is_cron(text: str) -> bool:
    """True for what is meant as a cron expression: several fields, or a name such as `@daily`."""
    return text.startswith("@") or len(text.split()) > 2


def parse_cron(text: str) -> str:
    """Return the five fields of an expression or a name. FrequencyDefinitionError if cronsim does not accept them, or
    if the expression has no slots."""
    if text.startswith("@"):
        if text.lower() not in NAMES:
            raise FrequencyDefinitionError(f"unknown name {quoted(text)}: expected one of {', '.join(NAMES)}")
        return NAMES[text.lower()]
    fields = text.split()
    if len(fields) != 5:
        raise FrequencyDefinitionError(
            f"{quoted(text)} has {len(fields)} fields: expected minute, hour, day of month, month and day of week"
        )
    from cronsim import CronSimError

    expression = " ".join(fields)
    try:
        next(_simulation(expression, _ANY_DAY))
    except (CronSimError, ValueError) as error:
        reason = str(error).lower()
        raise FrequencyDefinitionError(f"{quoted(text)} is not a valid cron expression: {reason}") from None
    except StopIteration:
        raise FrequencyDefinitionError(f"{quoted(text)} never comes") from None
    return expression


def slots_after(expression: str, moment: datetime, zone: tzinfo) -> Iterator[datetime]:
    """Yield the slots after `moment`, in order, until there are no more."""
    last = moment.astimezone(UTC)
    try:
        # cronsim may repeat a slot: where the clocks skip several, and before the second pass of an overlap.
        for slot in _simulation(expression, last.replace(microsecond=0).astimezone(zone)):
            slot = slot.astimezone(UTC)
            if slot > last:
                yield slot
                last = slot
    except (OverflowError, ValueError):  # The end of the calendar.
        return


def slots_from(expression: str, moment: datetime, zone: tzinfo) -> Iterator[datetime]:
    """Yield the slots at and after `moment`, in order."""
    return slots_after(expression, moment.astimezone(UTC) - timedelta.resolution, zone)


def latest_slot(expression: str, moment: datetime, zone: tzinfo) -> datetime | None:
    """Return the latest slot up to and including `moment`. None if there is none."""
    moment = moment.astimezone(UTC)
    start = (moment + LONGEST_OVERLAP).replace(microsecond=0).astimezone(zone)
    slots = (slot.astimezone(UTC) for slot in _simulation(expression, start, reverse=True))
    return next((slot for slot in slots if slot <= moment), None)


def is_slot(expression: str, moment: datetime, zone: tzinfo) -> bool:
    return next(slots_from(expression, moment, zone), None) == moment


def in_words(expression: str) -> str:
    """Say what the five fields mean: "At 03:00 on Monday through Friday"."""
    return str(_simulation(expression, _ANY_DAY).explain())


def _simulation(expression: str, moment: datetime, reverse: bool = False) -> Any:
    from cronsim import CronSim

    return CronSim(expression, moment, reverse)
