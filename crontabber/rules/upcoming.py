"""When does a job run in the days to come, if every run succeeds? Pure."""

from collections.abc import Iterator
from datetime import datetime, tzinfo
from itertools import islice

from crontabber.rules.backfill import date_after, next_date
from crontabber.rules.job import Job
from crontabber.rules.job_state import JobState
from crontabber.rules.schedule import NEVER, next_run_after_success


def upcoming(job: Job, row: JobState, now: datetime, zone: tzinfo, number: int = 5) -> list[datetime]:
    """Return the next runs, the first of which may be due already; of a backfill job, its next dates."""
    return list(islice(_upcoming(job, row, now, zone), number))


def _upcoming(job: Job, row: JobState, now: datetime, zone: tzinfo) -> Iterator[datetime]:
    zone = job.zone or zone
    moment = row.next_run or row.first_slot or now
    if job.is_backfill:
        moment = next_date(job.schedule, row, zone) or moment
    while moment < NEVER:
        yield moment
        if job.is_backfill:
            moment = date_after(job.schedule, moment, zone)
        else:
            started = max(moment, now)
            moment = next_run_after_success(job.schedule, row._replace(next_run=moment), started, zone)
            # What follows are plans, not retries.
            row = row._replace(error_count=0, last_success=started)
