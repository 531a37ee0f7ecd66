"""The part of a tick that runs jobs in this process, one after another."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any

from crontabber.commands import Application
from crontabber.datetimeutil import host_time, timesince
from crontabber.engine.error_report import error_reporter
from crontabber.engine.monitors import Monitors, monitors_of
from crontabber.engine.overrides import NO_OVERRIDES, Overrides
from crontabber.engine.run_settings import RunSettings
from crontabber.engine.tick import Runner
from crontabber.output.logger import engine_logger
from crontabber.output.secrets import SecretMask
from crontabber.rules.job import Job
from crontabber.rules.tick import Tick

# The host's clock may be this far from the server's before it is worth a warning.
CLOCK_TOLERANCE = timedelta(minutes=1)


def run_tick(
    app: Any, jobs: Sequence[Job], configured: Sequence[Job], force: bool = False,
    overrides: Overrides = NO_OVERRIDES, monitors: Monitors | None = None,
) -> Tick:  # fmt: skip
    """Run those of `jobs` that are due, or all of them with `force`; `configured` are all jobs there are."""
    database = app.job_states
    if speaks_for_all(app):
        _warn_about_the_clock(app.config.logger, database, app.current_time())
    monitors = monitors or monitors_of(app)
    settings = run_settings(app, overrides)._replace(monitors=monitors)
    runner = app._runner = Runner(database, settings, {job.app_name: job.policy for job in configured})
    try:
        runner.run(jobs, force)
    finally:
        app._runner = None
        monitors.finish()
    return runner.tick


def run_settings(app: Any, overrides: Overrides = NO_OVERRIDES) -> RunSettings:
    """Return what every run of a job shares."""
    logger = engine_logger(app.config.logger)
    return RunSettings(
        logger=logger,
        app_logger=app.config.logger,
        clock=app.current_time,
        report_error=error_reporter(app),
        mask=SecretMask(app.config),
        progress=_progress(logger, has_terminal=app.reporter is None or not app.reporter.worker),
        overrides=overrides,
        reporter=app.reporter,
    )


def speaks_for_all(app: Any) -> bool:
    """True unless another of several workers says what each of them could say."""
    return app.reporter is None or app.reporter.worker < 2


def log_what_is_next(app: Application, jobs: Sequence[Job], tick: Tick) -> None:
    """Log which of the jobs is next, and when."""
    logger, now = app.config.logger, app.current_time()
    states = [(job, tick.states.get(job.app_name)) for job in jobs]
    planned = [(state.next_run, job.app_name) for job, state in states if state and state.next_run is not None]
    if not planned:
        logger.info("Nothing is due yet.")
        return
    next_run, app_name = min(planned)
    logger.info("Nothing is due. Next: %s at %s (in %s)", app_name, host_time(next_run), timesince(now, next_run))


def _warn_about_the_clock(logger: Any, database: Any, now: datetime) -> None:
    """Compare `now` with the server's clock, as it was when the state database was opened."""
    server_now = getattr(database, "server_now", None)
    if server_now is not None and abs(now - server_now) > CLOCK_TOLERANCE:
        logger.warning(
            "The clocks of this host and of the state database differ by %s, so jobs run too early or late: sync them",
            timesince(*sorted((now, server_now))),
        )


# Modules below are imported when a job needs them: in most ticks, no job does.


def _progress(
    logger: Any, has_terminal: bool
) -> Callable[[str, int], AbstractContextManager[Callable[[datetime], None]]]:
    def progress(app_name: str, dates: int) -> AbstractContextManager[Callable[[datetime], None]]:
        from crontabber.output.progress import backfill_progress

        return backfill_progress(logger, app_name, dates, has_terminal=has_terminal)

    return progress
