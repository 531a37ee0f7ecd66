"""What Sentry has to know about a job to notice that it does not run, and about a run. Pure."""

import json
from datetime import timedelta, tzinfo
from typing import Any

from crontabber.rules.job import Job
from crontabber.rules.local_time import DAY
from crontabber.rules.pings import FAIL, POSTPONED, START, SUCCESS, slug

# Sentry has no word for a run that is neither. One that is left open would count as a failure one day.
STATUS = {START: "in_progress", SUCCESS: "ok", FAIL: "error", POSTPONED: "ok"}

# A job starts late by up to the interval of ticks, and by more if other jobs take long.
TICKS_LATE = 2
# Minutes. A run without a timeout: the next tick reports one that was killed, so this need not.
LONGEST_RUN = 24 * 60
LIMIT = 28 * 24 * 60

_UNITS = {"week": 7 * DAY, "day": DAY, "hour": timedelta(hours=1), "minute": timedelta(minutes=1)}


def envelope(
    job: Job, event: str, check_in_id: str, seconds: float | None, release: str, zone: tzinfo, tick_interval: timedelta
) -> bytes:  # fmt: skip
    """Return the envelope that checks a run in (START) or out; `zone` is the server's."""
    check_in: dict[str, Any] = {
        "check_in_id": check_in_id,
        "monitor_slug": slug(job.app_name),
        "status": STATUS[event],
        "release": release,
        "monitor_config": monitor_config(job, zone, tick_interval),
    }
    if seconds is not None:
        check_in["duration"] = seconds
    payload = json.dumps(check_in).encode()
    header = json.dumps({"type": "check_in", "length": len(payload)}).encode()
    return b"\n".join((b"{}", header, payload, b""))


def monitor_config(job: Job, zone: tzinfo, tick_interval: timedelta) -> dict[str, Any]:
    """Return the job's schedule as Sentry knows it, and how late and how long a run may be."""
    longest = job.policy.timeout and job.policy.timeout + job.policy.kill_timeout
    minutes = LONGEST_RUN if longest is None else longest // timedelta(minutes=1) + 1
    margin = -(-TICKS_LATE * tick_interval // timedelta(minutes=1))
    return schedule(job, zone) | {"checkin_margin": margin, "max_runtime": min(minutes, LIMIT)}


def schedule(job: Job, zone: tzinfo) -> dict[str, Any]:
    """Return a crontab if the schedule can be written as one, otherwise an interval."""
    zone = job.zone or zone
    every, at = job.schedule.every, job.schedule.at
    crontab = job.schedule.cron
    name = getattr(zone, "key", None) or ("UTC" if zone.utcoffset(None) == timedelta(0) else None)
    if not crontab and at is not None and every == DAY and name:
        crontab = f"{at.minute} {at.hour} * * *"
    if crontab:
        return {"schedule": {"type": "crontab", "value": crontab}} | ({"timezone": name} if name else {})
    unit = next(unit for unit, length in _UNITS.items() if not every % length)
    return {"schedule": {"type": "interval", "value": every // _UNITS[unit], "unit": unit}}
