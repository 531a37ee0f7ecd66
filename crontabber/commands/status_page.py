"""--status-page: write what --status says into an HTML file, with a picture of the jobs. Ticks do it by themselves."""

import os
import socket
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from crontabber.commands import Application
from crontabber.commands.overview import Overview, interval_of_ticks, overview
from crontabber.commands.status import broken_rows, row_of, verdict_of
from crontabber.errors import ExitCode
from crontabber.output.atomic_file import write_report
from crontabber.output.messages import explained
from crontabber.output.secrets import SecretMask
from crontabber.output.status_page import JobFacts, Page, render_page
from crontabber.rules.health import short_time
from crontabber.rules.plan import Step
from crontabber.rules.text import both_ends, printable
from crontabber.store.history import LoggedRun, RecentRuns

# For the owner, and for a web server in the owner's group.
MODE = 0o640
LATEST = 50
# Of each job, but of all jobs together no more than MOST_RECENT: that bounds the time and the size.
RECENT, MOST_RECENT = 20, 5000
LONGEST_ERROR = 500


def command(app: Application) -> int:
    write_page(app, app.config["status-page"])
    return ExitCode.DONE


def write_page(app: Application, path: str) -> None:
    """Replace the file by the page as it is now. OutputError if it cannot be written."""
    write_report(path, status_page(app), MODE)


def write_page_after_tick(app: Any, path: str) -> None:
    """Do the same after a tick that has run a job, and before the page becomes old. This must not fail the tick."""
    if app._has_run is False and not _becomes_old(app, path):
        return
    try:
        write_page(app, path)
    except Exception as error:  # Also of an application's own check_dependencies.
        app.config.logger.warning("The status page is not up to date: %s", explained(error))


def _becomes_old(app: Application, path: str) -> bool:
    """True unless the next tick, too, comes in time for readers, who take a page of two intervals for dead."""
    try:
        age = app.current_time().timestamp() - os.stat(path).st_mtime
    except OSError:
        return True
    return age > interval_of_ticks(app.config.crontabber).total_seconds() / 2


def status_page(app: Any) -> str:
    """Return the page. It takes four statements, or six without the index of the log."""
    seen = overview(app)
    log, number = seen.history, max(1, len(seen.configured.jobs))
    recent = log.recent(min(RECENT, max(1, MOST_RECENT // number))) if log else {}
    latest = log.latest(LATEST, recent) if log and recent else []
    shows_errors = bool(app.config.crontabber.get("status_page_errors"))
    mask = SecretMask(app.config) if shows_errors else None
    jobs = [*_broken_jobs(seen, shows_errors), *_jobs(seen, recent, mask)]
    return render_page(
        Page(
            app_name=printable(app.app_name),
            host=socket.gethostname(),
            verdict=verdict_of([job.state for job in jobs], seen.zone),
            now=seen.now,
            zone=seen.zone,
            tick=seen.tick_interval,
            jobs=jobs,
            latest=[(printable(name), _masked(run, mask)) for name, run in latest],
            no_runs=_why_no_runs(seen),
        )
    )


def _jobs(seen: Overview, recent: Mapping[str, RecentRuns], mask: SecretMask | None) -> list[JobFacts]:
    took = {name: timedelta(seconds=runs.seconds[-1]) for name, runs in recent.items() if runs.seconds[-1] is not None}
    jobs = []
    for step in seen.steps():
        cells, runs = row_of(step, seen, took), recent.get(step.job.app_name)
        depends_on = [printable(name) for name in step.job.depends_on]
        jobs.append(JobFacts(cells, depends_on, runs, _since(step, cells[0], seen, runs), _error_of(step, mask)))
    return jobs


def _broken_jobs(seen: Overview, shows_errors: bool) -> list[JobFacts]:
    """Return the broken entries. What is wrong with one may quote an error of its module."""
    rows = broken_rows(seen)
    return [JobFacts(row if shows_errors else (*row[:-1], "see crontabber --configtest")) for row in rows]


def _since(step: Step, state: str, seen: Overview, runs: RecentRuns | None) -> str:
    """Return since when a job has been failing, or is overdue; "" if it is neither, or if that is not known."""
    if not step.row.error_count:
        return short_time(step.next_run, seen.zone) if state == "overdue" else ""
    if not runs or runs.failing_since is None:
        return ""
    is_first = step.row.error_count <= len(runs.failed) or not all(runs.failed)
    return short_time(runs.failing_since, seen.zone) + ("" if is_first else " or longer")


def _error_of(step: Step, mask: SecretMask | None) -> str:
    error = step.row.last_error.get("value") if mask else None
    return printable(both_ends(mask(str(error)), LONGEST_ERROR), "\n") if mask and error else ""


def _masked(run: LoggedRun, mask: SecretMask | None) -> LoggedRun:
    # The end of what was read may be the first half of a secret.
    return run._replace(exc_value=mask(run.exc_value)[:LONGEST_ERROR] if mask and run.exc_value else None)


def _why_no_runs(seen: Overview) -> str:
    if seen.history is None:
        return "The state class keeps no log of runs."
    if any(row.last_run for row in seen.tick.states.values()):
        return "No runs to show: crontabber_log has none, or it is large and lacks the index that --prune-log makes."
    return ""
