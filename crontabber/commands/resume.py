"""--resume: end the pause of jobs, or that they gave up."""

from crontabber.commands import Application
from crontabber.commands.changing import LEFT, NOTHING, all_rows, is_agreed, jobs_named, who
from crontabber.datetimeutil import host_time
from crontabber.errors import ExitCode, JobNotFoundError
from crontabber.rules.job_state import JobState
from crontabber.rules.policy import DEFAULT, Policy
from crontabber.store.pauses import pauses_of


def command(app: Application) -> int:
    states, pauses = app.job_states, pauses_of(app.job_states)
    known = all_rows(states)
    policies = _policies(app, known)
    rows = {name: known.get(name) or JobState(name) for name in policies}
    if not is_agreed(app, [_plan(rows[name], policy) for name, policy in policies.items()]):
        return ExitCode.DONE
    resumed = pauses.resume(list(policies))
    for app_name in sorted(resumed):
        app.config.logger.info("%s was resumed by %s", app_name, who())
    for app_name in sorted({name for name, row in rows.items() if row.paused_at} - resumed):
        app.config.logger.warning(LEFT, app_name)
    for name, policy in policies.items():
        if policy.gave_up(rows[name]) and pauses.forgive(rows[name]):
            app.config.logger.info("%s, which gave up, was resumed by %s", name, who())
    return ExitCode.DONE


def _policies(app: Application, rows: dict[str, JobState]) -> dict[str, Policy]:
    """Return the jobs that are meant. A paused job need not be configured any more."""
    text, paused = app.config["resume"], {name for name, row in rows.items() if row.paused_at}
    unconfigured = paused - app.configured_jobs().names()
    if text.strip() == "all":
        found = {job.app_name: job.policy for job in jobs_named(app, "all")}
        stopped = {name: policy for name, policy in found.items() if name in paused or policy.gave_up(rows.get(name))}
        return stopped | dict.fromkeys(sorted(unconfigured), DEFAULT)
    policies: dict[str, Policy] = {}
    for name in filter(None, map(str.strip, text.split(","))):
        try:
            policies |= {job.app_name: job.policy for job in jobs_named(app, name)}
        except JobNotFoundError:
            if name not in unconfigured:
                raise
            policies[name] = DEFAULT
    return policies


def _plan(row: JobState, policy: Policy) -> str:
    if row.paused_at:
        return f"{row.app_name}: resume; paused since {host_time(row.paused_at)} by {row.paused_by}"
    if policy.gave_up(row):
        return f"{row.app_name}: resume; gave up (failures in a row: {row.error_count})"
    return f"{row.app_name}: is not paused; {NOTHING}"
