"""A tick: run every job that is due, here, under a supervisor or elsewhere, and do what follows."""

import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

from crontabber.commands.by_hand import overrides_of, warn_about_uncalled
from crontabber.commands.tick import log_what_is_next, run_tick, speaks_for_all
from crontabber.engine.monitors import Monitors, monitors_of
from crontabber.errors import ExitCode
from crontabber.process.streams import is_terminal
from crontabber.rules.configured_jobs import ConfiguredJobs
from crontabber.rules.dependencies import reorder_dag
from crontabber.rules.job import Job


def command(app: Any) -> int | None:
    return app.run_all()  # type: ignore[no-any-return]


def run_all(app: Any) -> int:
    """Run one tick. Return its exit code."""
    configured = app.configured_jobs()
    warn_about_uncalled(app)
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
    with monitors.tick(len(configured.faults)) if speaks_for_all(app) else nullcontext():
        return _run_due(app, configured.jobs, jobs, monitors)


def _run_due(app: Any, configured: Sequence[Job], jobs: Sequence[Job], monitors: Monitors) -> ExitCode:
    if not jobs:
        return ExitCode.DONE
    overrides = overrides_of(app)
    names = {job.app_name for job in jobs}
    ordered = [job for job in (overrides.order or reorder_dag)(configured) if job.app_name in names]
    # Other state classes have none, and our role may not use its table.
    heartbeat = getattr(app.job_states, "heartbeat", None) if speaks_for_all(app) else None
    if heartbeat:
        heartbeat.start()
    tick = run_tick(app, ordered, configured, overrides=overrides, monitors=monitors)
    app._has_run = tick.has_run
    if heartbeat and tick.has_run:
        heartbeat.end()
    if speaks_for_all(app) and not tick.anything_due and is_terminal(sys.stderr):
        log_what_is_next(app, jobs, tick)
    exit_code = tick.exit_code()
    # What another of several workers was quicker to take is not lost.
    return ExitCode.DONE if exit_code == ExitCode.CLAIM_LOST and app.reporter and app.reporter.worker else exit_code


def warn_about_no_jobs(logger: Any) -> None:
    """Warn that nothing runs: this is most likely a mistake in the configuration."""
    logger.warning("No jobs are configured, so nothing runs: check --admin.conf, and that `jobs` is in [crontabber]")
