"""A tick: run every job that is due, one after another."""

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from crontabber.commands import Application
from crontabber.commands.by_hand import overrides_of
from crontabber.datetimeutil import host_time, timesince
from crontabber.engine.error_report import error_reporter
from crontabber.engine.monitors import Monitors, monitors_of
from crontabber.engine.overrides import NO_OVERRIDES, Overrides
from crontabber.engine.run_settings import RunSettings
from crontabber.engine.tick import Runner
from crontabber.errors import ExitCode
from crontabber.output.logger import engine_logger
from crontabber.output.secrets import SecretMask
from crontabber.process.streams import is_terminal
from crontabber.rules.configured_jobs import ConfiguredJobs
from crontabber.rules.dependencies import reorder_dag
from crontabber.rules.job import Job
from crontabber.rules.tick import Tick

# The host's clock may be this far from the server's before it is worth a warning.
CLOCK_TOLERANCE = timedelta(minutes=1)


def command(app: Any) -> int | None:
    return app.run_all()  # type: ignore[no-any-return]


def run_all(app: Any) -> int:
    """Run one tick. Return its exit code."""
    configured = app.configured_jobs()
    if configured.faults:
        from crontabber.commands.broken_entries import log_broken_entries

        log_broken_entries(app, configured)
    elif not configured.jobs:
        warn_about_no_jobs(app.config.logger)
    exit_code = _run_somewhere(app, configured)
    if app.reporter is None:
        _follow_up(app)
    return ExitCode.FAILED if configured.faults else exit_code


def _follow_up(app: Any) -> None:
    """Do what comes once after each tick, however many processes have run it."""
    options = app.config.crontabber
    if retention := options.get("log_retention"):
        from crontabber.commands.prune_log import prune_quickly

        prune_quickly(app, retention)
    if path := options.get("prometheus_file"):
        from crontabber.commands.prometheus import write_metrics_after_tick

        write_metrics_after_tick(app, path)
    if path := options.get("status_page"):
        from crontabber.commands.status_page import write_page_after_tick

        write_page_after_tick(app, path)


def _run_somewhere(app: Any, configured: ConfiguredJobs) -> int:
    """Return the exit code of a tick that runs here, or of those that an executor has run."""
    jobs, tick = configured.jobs, partial(_monitored, app, configured)
    here = partial(supervised_if_needed, app, tick=tick)
    if not jobs or app.reporter is not None or not app.config.crontabber.get("executor_class"):
        return here(jobs)
    from crontabber.commands.submission import submitted_ticks

    return submitted_ticks(app, configured, here)


def supervised_if_needed(
    app: Any, jobs: Sequence[Job], tick: Callable[[Sequence[Job]], int], once: bool = False
) -> int:
    """Return the exit code of `tick`, which runs `jobs`. Timeouts, and several workers, need a supervisor. With `once`,
    there is one job, and nothing to share."""
    workers = 1 if once else app.config.get("workers") or app.config.crontabber.get("workers", 1)
    if app.reporter is not None or (workers == 1 and not any(job.policy.timeout for job in jobs)):
        return tick(jobs)
    from crontabber.commands.supervisor import supervised_tick

    return supervised_tick(app, jobs, tick, once, workers)


def _monitored(app: Any, configured: ConfiguredJobs, jobs: Sequence[Job]) -> ExitCode:
    """Run those of `jobs` that are due. Return the exit code."""
    monitors = monitors_of(app)
    with monitors.tick(len(configured.faults)) if _speaks_for_all(app) else nullcontext():
        return _run_due(app, configured.jobs, jobs, monitors)


def _run_due(app: Any, configured: Sequence[Job], jobs: Sequence[Job], monitors: Monitors) -> ExitCode:
    if not jobs:
        return ExitCode.DONE
    overrides = overrides_of(app)
    names = {job.app_name for job in jobs}
    ordered = [job for job in (overrides.order or reorder_dag)(configured) if job.app_name in names]
    # Other state classes have none, and our role may not use its table.
    heartbeat = getattr(app.job_states, "heartbeat", None) if _speaks_for_all(app) else None
    if heartbeat:
        heartbeat.start()
    tick = run_tick(app, ordered, configured, overrides=overrides, monitors=monitors)
    app._has_run = tick.has_run
    if heartbeat and tick.has_run:
        heartbeat.end()
    if _speaks_for_all(app) and not tick.anything_due and is_terminal(sys.stderr):
        log_what_is_next(app, jobs, tick)
    exit_code = tick.exit_code()
    # What another of several workers was quicker to take is not lost.
    return ExitCode.DONE if exit_code == ExitCode.CLAIM_LOST and app.reporter and app.reporter.worker else exit_code


def run_tick(
    app: Any, jobs: Sequence[Job], configured: Sequence[Job], force: bool = False,
    overrides: Overrides = NO_OVERRIDES, monitors: Monitors | None = None,
) -> Tick:  # fmt: skip
    """Run those of `jobs` that are due, or all of them with `force`; `configured` are all jobs there are."""
    database = app.job_states
    if _speaks_for_all(app):
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


def _speaks_for_all(app: Any) -> bool:
    """True unless another of several workers says what each of them could say."""
    return app.reporter is None or app.reporter.worker < 2


def warn_about_no_jobs(logger: Any) -> None:
    """Warn that nothing runs: this is most likely a mistake in the configuration."""
    logger.warning("No jobs are configured, so nothing runs: check --admin.conf, and that `jobs` is in [crontabber]")


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
