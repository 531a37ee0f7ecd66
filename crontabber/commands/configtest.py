"""Questions to the configured jobs that need no database."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from crontabber.config.jobs_setting import jobs_of
from crontabber.engine.job_run import Job
from crontabber.errors import CrontabberError, JobDescriptionError, JobNotFoundError, JobsSettingError

if TYPE_CHECKING:
    from crontabber.commands.list_jobs import ListedJob
    from crontabber.commands.nagios import WatchedJob


def path_of(job_class: type) -> str:
    return f"{job_class.__module__}.{job_class.__name__}"


def listed(jobs: Sequence[Job]) -> "list[ListedJob]":
    from crontabber.commands.list_jobs import ListedJob

    return [ListedJob(path_of(job.job_class), job.app_name, job.config.frequency, job.config.time) for job in jobs]


def watched(jobs: Sequence[Job]) -> "list[WatchedJob]":
    from crontabber.commands.nagios import WatchedJob

    return [WatchedJob(job.app_name, job.job_class.__name__, job.is_backfill) for job in jobs]


def described(jobs: Sequence[Job], description: str) -> Job:
    """The job of this app_name or module.Class. JobNotFoundError names the nearest ones."""
    for job in jobs:
        if description in (job.app_name, path_of(job.job_class)):
            return job
    from difflib import get_close_matches

    known = [name for job in jobs for name in (job.app_name, path_of(job.job_class))]
    near = get_close_matches(description, known)
    hint = f"did you mean {' or '.join(near)}?" if near else "--list-jobs shows what is configured"
    raise JobNotFoundError(f"there is no job {description!r}: {hint}")


def faults_of(options: Any) -> list[CrontabberError]:
    """What is wrong with the jobs of the namespace `crontabber`, beyond what reading it has refused already."""
    try:
        jobs_of(options.jobs, options)
    except JobsSettingError as error:
        return [JobDescriptionError(fault) for fault in error.faults]
    return []


def warn_about_unknown_dependencies(jobs: Sequence[Job], warn: Callable[..., None]) -> None:
    """No fault: another crontabber on the same database may run what is not configured here."""
    known = {job.app_name for job in jobs}
    for job in jobs:
        for name in job.depends_on:
            if name not in known:
                warn(
                    "%s depends on %r, which is not configured here: it is held back until another crontabber on the"
                    " same database has run that", job.app_name, name,
                )  # fmt: skip


def sentry_dsn(config: Any) -> str | None:
    """Of the two places where it may stand, `sentry.dsn` comes before `secrets.sentry.dsn`."""
    for options in (config.get("sentry"), (config.get("secrets") or {}).get("sentry")):
        if dsn := (options or {}).get("dsn"):
            return str(dsn)
    return None
