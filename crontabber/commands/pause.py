"""--pause: do not run these jobs, nor those that depend on them, until --resume."""

from crontabber.commands import Application
from crontabber.commands.changing import LEFT, NOTHING, all_rows, is_agreed, jobs_named, who
from crontabber.datetimeutil import host_time
from crontabber.errors import ExitCode
from crontabber.rules.job_state import JobState
from crontabber.rules.text import one_line
from crontabber.store.pauses import pauses_of


def command(app: Application) -> int:
    states, pauses = app.job_states, pauses_of(app.job_states)
    known = all_rows(states)
    rows = [known.get(job.app_name) or JobState(job.app_name) for job in jobs_named(app, app.config["pause"])]
    reason = one_line(app.config.get("reason") or "") or None
    because = f": {reason}" if reason else ""
    if not is_agreed(app, [_plan(row, because) for row in rows]):
        return ExitCode.DONE
    changed = pauses.pause([row.app_name for row in rows], who(), reason)
    for app_name in sorted(changed):
        app.config.logger.info("%s was paused by %s%s", app_name, who(), because)
    for app_name in sorted({row.app_name for row in rows if not row.paused_at} - changed):
        app.config.logger.warning(LEFT, app_name)
    return ExitCode.DONE


def _plan(row: JobState, because: str) -> str:
    if row.paused_at:
        return f"{row.app_name}: has been paused since {host_time(row.paused_at)}; {NOTHING}"
    running = ", after the run that is going on" if row.ongoing else ""
    return f"{row.app_name}: pause{running}{because}"
