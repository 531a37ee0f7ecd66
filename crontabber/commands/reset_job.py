"""--reset-job: forget the state of one job; the log keeps its runs."""

from typing import Any

from crontabber.commands import Application
from crontabber.commands.changing import asked, has_terminal, who
from crontabber.errors import JobsSettingError
from crontabber.process.streams import answer
from crontabber.rules.backfill import count_backfill_dates


def command(app: Any) -> None:
    app.reset_job(app.config["reset-job"])


def reset_job(app: Application, description: str) -> None:
    """Forget the state of the job with this app_name or module.Class, or of a ghost with this app_name."""
    database = app.job_state_database
    app_name = _app_name_of(app, description)
    if not _is_wanted(app, app_name):
        return
    if app_name in database:
        database.pop(app_name)
        app.config.logger.info("%s was reset by %s", app_name, who())
        app.config.logger.info("App reset")
    else:
        if (plans := getattr(database, "plans", None)) is not None:
            plans.forget(app_name)
        app.config.logger.warning("App already reset")


def _is_wanted(app: Application, app_name: str) -> bool:
    """Say what is lost, and ask on a terminal. Elsewhere it is done without asking, as in the original."""
    lost = _outstanding(app, app_name)
    if app.config.get("dry-run") or lost or has_terminal():
        number = "1 outstanding date" if lost == 1 else f"{lost} outstanding dates"
        answer(f"{app_name}: forget its state{f', and {number}, which will not be run' if lost else ''}\n")
    if app.config.get("dry-run"):
        return False
    if app.config.get("yes") or not has_terminal() or asked("Go on?"):
        return True
    answer("Nothing was changed.\n")
    return False


def _outstanding(app: Application, app_name: str) -> int:
    """Return how many dates of a backfill job are outstanding."""
    states = app.state_reader()
    row = states.states().get(app_name)
    job = next((job for job in app.configured_jobs().jobs if job.app_name == app_name and job.is_backfill), None)
    if row is None or job is None:
        return 0
    return count_backfill_dates(job.schedule, row, app.current_time(), job.zone or states.zone)


def _app_name_of(app: Application, description: str) -> str:
    try:
        return app.configured_jobs().find(description, see="--list-jobs and --audit-ghosts").app_name
    except JobsSettingError:
        if description in app.job_state_database:
            return description
        raise
