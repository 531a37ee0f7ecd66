"""What a tick says by itself: that there are no jobs, that clocks disagree, what is next when nothing was due."""

from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Any

from crontabber.datetimeutil import timesince
from crontabber.engine.job_run import Job
from crontabber.engine.tick import Tick

# The host's clock may be this far from the server's before it is worth a warning.
CLOCK_TOLERANCE = timedelta(minutes=1)


def warn_about_no_jobs(logger: Any) -> None:
    """Nobody starts it for nothing: it is more likely the wrong configuration, or `jobs` in the wrong section."""
    logger.warning("No jobs are configured: nothing to do. (Is it the right --admin.conf?)")


def warn_about_the_clock(logger: Any, database: Any, now: datetime) -> None:
    """Compares `now` with what the server said when it was asked for the state."""
    server_now = getattr(database, "server_now", None)
    if server_now is not None and abs(now - server_now) > CLOCK_TOLERANCE:
        logger.warning(
            "The clock of this host and that of the state database are %s apart: times cannot be trusted",
            timesince(*sorted((now, server_now))),
        )


def say_what_is_next(logger: Any, jobs: Sequence[Job], tick: Tick, now: datetime, zone: tzinfo) -> None:
    """For someone who looks: which of the jobs is the next, and when."""
    states = [(job, tick.states.get(job.app_name)) for job in jobs]
    planned = [(state.next_run, job.app_name) for job, state in states if state and state.next_run is not None]
    if not planned:
        logger.info("Nothing is due yet.")
        return
    next_run, app_name = min(planned)
    when = f"{next_run.astimezone(zone):%Y-%m-%d %H:%M}"
    logger.info("Nothing is due. Next: %s at %s (in %s)", app_name, when, timesince(now, next_run))
