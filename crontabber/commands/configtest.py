"""--configtest: check the configuration of the jobs, without a database."""

from collections.abc import Iterator, Sequence
from typing import Any

from crontabber.commands import Application
from crontabber.commands.by_hand import overridden
from crontabber.commands.run import warn_about_no_jobs
from crontabber.config.job_checks import fault_of_run, misspelt_attributes, unknown_dependencies, unset_options
from crontabber.errors import ExitCode, JobDescriptionError
from crontabber.process.streams import say
from crontabber.rules.configured_jobs import ConfiguredJobs
from crontabber.rules.job import path_of

# To a shell, exit codes from 126 on mean something else.
MOST_FAULTS_TO_COUNT = 125


def command(app: Any) -> int:
    """Print one line per fault. Return their number. Log a warning for what may be a mistake. Of an application with a
    `configtest` of its own, that one decides."""
    configured = app.configured_jobs()
    if not (configured.jobs or configured.faults):
        warn_about_no_jobs(app.config.logger)
    for sentence in _doubts(app, configured):
        app.config.logger.warning("%s", sentence)
    if overridden(app, "configtest"):
        return ExitCode.DONE if app.configtest() else ExitCode.FAILED
    return print_faults(app.app_name, [*_faults(app, configured), *_refused(app, configured)])


def print_faults(app_name: str, faults: Sequence[str]) -> int:
    """Print one line per fault to stderr. Return their number, as an exit code."""
    for fault in faults:
        say(f"{app_name}: {fault}")
    return min(len(faults), MOST_FAULTS_TO_COUNT)


def configtest(app: Application) -> bool:
    """Log each fault. Return True if every job is configured correctly."""
    configured = app.configured_jobs()
    faults = _faults(app, configured)
    for fault in faults:
        try:
            raise JobDescriptionError(fault)
        except JobDescriptionError:
            app.config.logger.critical("Failed to config test a job", exc_info=True)
    return not [*faults, *_refused(app, configured)]


def _faults(app: Application, configured: ConfiguredJobs) -> list[str]:
    """Return what is sure to go wrong: in the entries of the setting, then in the methods of their classes."""
    job_classes = dict(app.config.crontabber.jobs.class_list).values()
    return [*(fault.text for fault in configured.faults), *filter(None, map(fault_of_run, job_classes))]


def _refused(app: Any, configured: ConfiguredJobs) -> Iterator[str]:
    """Yield a sentence for each job that the application's own `_configtest_one`, which logs why, refuses."""
    for job in configured.jobs if overridden(app, "_configtest_one") else ():
        if not app._configtest_one(job.config):
            yield f"jobs: {path_of(job.job_class)}: _configtest_one of {type(app).__name__} refuses its options"


def _doubts(app: Application, configured: ConfiguredJobs) -> Iterator[str]:
    """Yield what may be wrong."""
    job_list = app.config.crontabber.jobs
    job_classes = [job_class for _, job_class in job_list.class_list]
    namespaces = dict(zip(job_classes, job_list.subordinate_namespace_names, strict=True))
    for job_class in namespaces:
        yield from misspelt_attributes(job_class)
    for job in configured.jobs:
        yield from unset_options(job, f"crontabber.{namespaces[job.job_class]}")
    if not configured.nameless():  # Otherwise the dependency may be a broken entry.
        yield from unknown_dependencies(configured)
