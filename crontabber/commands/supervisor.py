"""Run a tick under a supervisor, because one of its jobs may have to be ended at its timeout."""

from collections.abc import Callable, Sequence
from typing import Any

from crontabber.commands.run import error_reporter
from crontabber.connection_factory import ConnectionFactory
from crontabber.engine.failure import failure_of
from crontabber.engine.run_log import log_run
from crontabber.errors import JobTimeout
from crontabber.output.logger import engine_logger
from crontabber.process.signals import INTERRUPTION, in_main_thread
from crontabber.process.supervision import Reporter, supervised
from crontabber.rules.after_run import Occasion, state_after
from crontabber.rules.job import Job
from crontabber.rules.job_state import Outcome
from crontabber.store.patrol import patrol


def supervised_tick(app: Any, jobs: Sequence[Job], tick: Callable[[], int]) -> int:
    """Return the exit code of `tick`, which runs `jobs`, in forked children that this process watches."""
    if not in_main_thread():
        app.config.logger.warning("Timeouts are not in force: crontabber does not run in the main thread")
        return tick()

    def run(reporter: Reporter, timed_out: dict[str, Any] | None) -> int:
        app.reporter, app._job_state_database = reporter, None
        ConnectionFactory.on_connect = reporter.connected
        with INTERRUPTION.handled(patrol), INTERRUPTION.timeouts_handled(), INTERRUPTION.allowed():
            if timed_out is not None:
                settle_timed_out(app, jobs, timed_out)
            exit_code = tick()
        # The supervisor has received the SIGHUP, too.
        INTERRUPTION.restart = False
        return exit_code

    return supervised(run, lambda text: app.config.logger.error("%s", text))


def settle_timed_out(app: Any, jobs: Sequence[Job], facts: dict[str, Any]) -> None:
    """Store that a job was killed for its timeout, unless its process has stored another result before."""
    states, app_name = app.job_states, facts["app_name"]
    seen, job = states.state(app_name), next(job for job in jobs if job.app_name == app_name)
    if seen is None or seen.ongoing is None or seen.owner != facts["owner"] or job.policy.timeout is None:
        return
    error, now = JobTimeout(job.policy.timeout, killed=True), app.current_time()
    outcome = Outcome(seen.ongoing, now, failure=failure_of(error))
    before = seen._replace(ongoing=None, owner=None)
    state = state_after(job, Occasion(before, seen.ongoing), outcome, states.zone)
    states.claims.bury_killed(seen, state, outcome.failure, now, facts["backends"])
    log_run(engine_logger(app.config.logger), job, before, outcome, state, states.zone)
    error_reporter(app)(error, app_name)
