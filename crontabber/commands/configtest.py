"""--configtest: check the configuration of the jobs, without a database."""

from collections.abc import Callable, Sequence

from crontabber.commands import Application
from crontabber.commands.run import warn_about_no_jobs
from crontabber.errors import JobDescriptionError
from crontabber.process.streams import say
from crontabber.rules.configured_jobs import ConfiguredJobs

# To a shell, exit codes from 126 on mean something else.
MOST_FAULTS_TO_COUNT = 125


def command(app: Application) -> int:
    """Print one line per fault. Return their number."""
    configured = app.configured_jobs()
    if not (configured.jobs or configured.faults):
        warn_about_no_jobs(app.config.logger)
    if not configured.nameless():  # Otherwise the dependency may be a broken entry.
        _warn_about_unknown_dependencies(configured, app.config.logger.warning)
    return print_faults(app.app_name, [fault.text for fault in configured.faults])


def print_faults(app_name: str, faults: Sequence[str]) -> int:
    """Print one line per fault to stderr. Return their number, as an exit code."""
    for fault in faults:
        say(f"{app_name}: {fault}")
    return min(len(faults), MOST_FAULTS_TO_COUNT)


def configtest(app: Application) -> bool:
    """Log each fault. Return True if every job is configured correctly."""
    faults = app.configured_jobs().faults
    for fault in faults:
        try:
            raise JobDescriptionError(fault.text)
        except JobDescriptionError:
            app.config.logger.critical("Failed to config test a job", exc_info=True)
    return not faults


def _warn_about_unknown_dependencies(configured: ConfiguredJobs, warn: Callable[..., None]) -> None:
    """Not a fault: another crontabber on the same database may run what is not configured here."""
    known = configured.names()
    for job in configured.jobs:
        for name in job.depends_on:
            if name not in known:
                warn(
                    "%s depends on %r, which is not configured here: %s is held back until another crontabber on the"
                    " same database has run %r", job.app_name, name, job.app_name, name,
                )  # fmt: skip
