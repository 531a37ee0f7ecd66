"""Run ticks under a supervisor: several, or one whose jobs may have to be ended at their timeouts."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from crontabber.connection_factory import ConnectionFactory
from crontabber.engine.error_report import error_reporter
from crontabber.engine.failure import failure_of
from crontabber.engine.monitors import monitors_of
from crontabber.engine.run_log import log_failed_rerun, log_run
from crontabber.errors import JobTimeout
from crontabber.output.logger import engine_logger
from crontabber.process.reports import Reporter
from crontabber.process.signals import INTERRUPTION
from crontabber.process.supervision import supervised
from crontabber.rules.after_death import date_of_death
from crontabber.rules.after_run import Occasion, state_after
from crontabber.rules.job import Job
from crontabber.rules.job_state import Outcome
from crontabber.store.claims import RowLevelLockError
from crontabber.store.patrol import patrol


def supervised_tick(
    app: Any, jobs: Sequence[Job], tick: Callable[[Sequence[Job]], int], once: bool, workers: int
) -> int:
    """Return the exit code of `tick`, which runs `jobs`, in up to `workers` forked children that this process watches.

    With `once`, none of the jobs gets a second attempt.
    """
    if app.shell is None or not INTERRUPTION.is_handled:
        what = "Timeouts are not in force" if workers == 1 else "There is one worker, and timeouts are not in force"
        app.config.logger.warning("%s: that takes crontabber.app.main, in the main thread", what)
        return tick(jobs)

    def work(reporter: Reporter, killed: list[dict[str, Any]]) -> None:
        app.shell.run_as_program(lambda: settle_and_run(reporter, killed), lambda: reporter.has_timed_out)

    def settle_and_run(reporter: Reporter, killed: list[dict[str, Any]]) -> int:
        app.reporter, app._job_state_database = reporter, None
        ConnectionFactory.on_connect = reporter.connected
        if reporter.worker:
            app.config.executor_identity = lambda: f"worker {reporter.worker}"
        for facts in killed:
            # A sibling may be quicker.
            with suppress(RowLevelLockError):
                settle_timed_out(app, jobs, facts)
        names = {facts["app_name"] for facts in killed}
        return tick([job for job in jobs if job.app_name not in names])

    exit_code = supervised(work, patrol, engine_logger(app.config.logger), once, workers)
    if once:
        # The job has had its turn: starting again after a SIGHUP would force it a second time.
        INTERRUPTION.restart = False
    return exit_code


def settle_timed_out(app: Any, jobs: Sequence[Job], facts: dict[str, Any]) -> None:
    """Store that a job was killed for its timeout, unless its process has stored another result before."""
    states, app_name = app.job_states, facts["app_name"]
    seen, job = states.state(app_name), next(job for job in jobs if job.app_name == app_name)
    is_unsettled = seen is not None and seen.ongoing == datetime.fromisoformat(facts["since"])
    # Some tables, and some classes, have no place for the owner.
    is_ours = is_unsettled and seen.owner in (facts["owner"], None)
    # Other classes find the claim of a dead process when they take it.
    if not is_ours or job.policy.timeout is None or not hasattr(states.claims, "bury_killed"):
        return
    error, now = JobTimeout(job.policy.timeout, killed=True), app.current_time()
    failure = failure_of(error)
    outcome = Outcome(seen.ongoing, now, failure=failure)
    before = seen._replace(ongoing=None, owner=None)
    state = before if seen.is_rerun else state_after(job, Occasion(before, seen.ongoing), outcome, states.zone)
    slot = date_of_death(job, seen, states.zone)
    states.claims.bury_killed(seen, state, failure, now, facts["backends"], slot)
    logger = engine_logger(app.config.logger)
    if seen.is_rerun:
        log_failed_rerun(logger, app_name, (now - seen.ongoing).total_seconds(), failure)
    else:
        log_run(logger, job, before, outcome, state, states.zone)
        monitors = monitors_of(app)
        monitors.ended(job, seen.ongoing, outcome, states.zone)
        monitors.finish()
    error_reporter(app)(error, app_name)
