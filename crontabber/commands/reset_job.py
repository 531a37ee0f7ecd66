"""--reset-job: forget the state of one job; the log keeps its runs."""

from typing import Any

from crontabber.commands import Application
from crontabber.errors import JobsSettingError


def command(app: Any) -> None:
    app.reset_job(app.config["reset-job"])


def reset_job(app: Application, description: str) -> None:
    """Forget the state of the job with this app_name or module.Class, or of a ghost with this app_name."""
    database = app.job_state_database
    app_name = _app_name_of(app, description)
    if app_name in database:
        app.config.logger.info("App reset")
        database.pop(app_name)
    else:
        if (plans := getattr(database, "plans", None)) is not None:
            plans.forget(app_name)
        app.config.logger.warning("App already reset")


def _app_name_of(app: Application, description: str) -> str:
    try:
        return app.configured_jobs().find(description).app_name
    except JobsSettingError:
        if description in app.job_state_database:
            return description
        raise
