"""--configtest: check the configuration of the jobs, without a database."""

from collections.abc import Callable, Sequence
from typing import Any

from crontabber.commands import Application
from crontabber.commands.run import warn_about_no_jobs
from crontabber.config.jobs_setting import jobs_of
from crontabber.errors import CrontabberError, JobDescriptionError, JobsSettingError
from crontabber.process.streams import say
from crontabber.rules.job import Job

# To a shell, exit codes from 126 on mean something else.
MOST_FAULTS_TO_COUNT = 125


def command(app: Application) -> int:
    """Print one line per fault. Return their number."""
    faults = faults_of(app.config.crontabber)
    if not faults:
        jobs = app.configured_jobs()
        if not jobs:
            warn_about_no_jobs(app.config.logger)
        _warn_about_unknown_dependencies(jobs, app.config.logger.warning)
    return print_faults(app.app_name, faults)


def print_faults(app_name: str, faults: Sequence[object]) -> int:
    """Print one line per fault to stderr. Return their number, as an exit code."""
    for fault in faults:
        say(f"{app_name}: {fault}")
    return min(len(faults), MOST_FAULTS_TO_COUNT)


def configtest(app: Application) -> bool:
    """Log each fault. Return True if every job is configured correctly."""
    faults = faults_of(app.config.crontabber)
    for fault in faults:
        try:
            raise fault
        except CrontabberError:
            app.config.logger.critical("Failed to config test a job", exc_info=True)
    return not faults


def faults_of(options: Any) -> list[CrontabberError]:
    """Return the faults of the jobs in the namespace `crontabber` that reading the configuration did not find."""
    try:
        jobs_of(options.jobs, options)
    except JobsSettingError as error:
        return [JobDescriptionError(fault) for fault in error.faults]
    return []


def _warn_about_unknown_dependencies(jobs: Sequence[Job], warn: Callable[..., None]) -> None:
    """Not a fault: another crontabber on the same database may run what is not configured here."""
    known = {job.app_name for job in jobs}
    for job in jobs:
        for name in job.depends_on:
            if name not in known:
                warn(
                    "%s depends on %r, which is not configured here: %s is held back until another crontabber on the"
                    " same database has run %r", job.app_name, name, job.app_name, name,
                )  # fmt: skip
