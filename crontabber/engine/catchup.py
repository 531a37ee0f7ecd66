"""Skip the outstanding dates of a backfill job that its policy does not catch up on."""

from typing import Any

from crontabber.datetimeutil import host_time
from crontabber.rules.after_run import Occasion
from crontabber.rules.backfill import calendar_date, dates_to_skip
from crontabber.rules.job import Job
from crontabber.store.claim import Claim

SKIPPED = "%s skips its dates from %s to %s: its policy has catchup=%d"


def catch_up(store: Any, logger: Any, job: Job, claim: Claim, occasion: Occasion) -> tuple[Claim, Occasion]:
    """Move the cursor of a claimed job past the dates that are too old. Return claim and occasion as they are then.

    LostClaimError if another process has taken over the job.
    """
    zone = job.zone or store.zone
    skipped = dates_to_skip(job.schedule, occasion.row(job.app_name), claim.since, zone, job.policy.catchup)
    if skipped is None:
        return claim, occasion
    first, last = skipped
    last_date = None if job.schedule.at is None else calendar_date(job.schedule.at, last, zone)
    # Other state classes store the cursor only when the run ends.
    if move_cursor := getattr(store.claims, "move_cursor", None):
        move_cursor(claim, last, last_date)
    logger.warning(SKIPPED, job.app_name, host_time(first), host_time(last), job.policy.catchup)
    cursor: dict[str, Any] = {"last_success": last, "first_slot": None}
    if last_date is not None:
        cursor |= {"last_date": last_date, "last_date_for": last}
    before = (occasion.before or claim.state)._replace(**cursor)
    return claim._replace(state=claim.state._replace(**cursor)), occasion._replace(before=before)
