"""--job: run one job, with --force even if it is not due."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from crontabber.commands import Application
from crontabber.commands.by_hand import overrides_of, warn_about_uncalled
from crontabber.commands.run import supervised_if_needed
from crontabber.commands.tick import log_what_is_next, run_tick
from crontabber.errors import ExitCode
from crontabber.process.signals import INTERRUPTION
from crontabber.rules.job import Job


def command(app: Any) -> int | None:
    return app.run_one(app.config["job"], bool(app.config["force"]))  # type: ignore[no-any-return]


def run_one(app: Application, description: str, force: bool) -> int:
    """Run the job with this app_name or module.Class if it is due, or with `force` anyway. Return the exit code.

    A backfill job is never run this way (manual, 1.4.4): its dates would lose their order.
    """
    configured = app.configured_jobs()
    warn_about_uncalled(app)
    job = configured.find(description)
    if job.is_backfill:
        app.config.logger.warning(
            "%s is a backfill job, so it was not run: crontabber without --job runs each of its dates once,"
            " --rerun runs dates again",
            job.app_name,
        )
        return ExitCode.DONE
    return supervised_if_needed(app, [job], partial(_run, app, configured.jobs, force), once=True)


def _run(app: Application, configured: Sequence[Job], force: bool, jobs: Sequence[Job]) -> ExitCode:
    if not jobs:
        return ExitCode.DONE
    tick = run_tick(app, jobs, configured, force, overrides_of(app))
    if tick.anything_due:
        # The job has had its turn: starting again after a SIGHUP would force it a second time.
        INTERRUPTION.restart = False
    else:
        log_what_is_next(app, jobs, tick)
    return tick.exit_code()
