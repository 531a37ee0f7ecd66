"""--prune-log: delete the old rows of crontabber_log, but never the last run of a job."""

from contextlib import suppress
from datetime import timedelta

from crontabber.commands import Application
from crontabber.commands.changing import is_agreed, who
from crontabber.datetimeutil import host_time
from crontabber.errors import ConfigurationError, ExitCode, StateDatabaseError
from crontabber.rules.policy import parse_age
from crontabber.store.driver_errors import is_denied
from crontabber.store.pruning import MAKE_INDEX, pruning_of


def command(app: Application) -> int:
    pruning, age = pruning_of(app.job_states), _age(app.config["older-than"])
    cutoff = app.current_time() - age
    plan = [f"crontabber_log: delete {pruning.count(cutoff)} rows from before {host_time(cutoff)}"]
    if not pruning.has_index():
        plan.append("crontabber_log: create an index on (app_name, log_time)")
    if not is_agreed(app, plan):
        return ExitCode.DONE
    with pruning.alone() as is_alone:
        if not is_alone:
            app.config.logger.warning("crontabber_log was left as it is: another process is deleting its old rows")
            return ExitCode.ONGOING_ELSEWHERE
        try:
            pruning.make_index()
        except StateDatabaseError as error:
            if not is_denied(error.__cause__):
                raise
            app.config.logger.warning("crontabber_log has no index, and only its owner can add it: %s", MAKE_INDEX)
        deleted = pruning.prune(cutoff)
    app.config.logger.info("%d rows of crontabber_log were deleted by %s", deleted, who())
    return ExitCode.DONE


def prune_quickly(app: Application, retention: str) -> None:
    """Delete some of the rows that are older, if there are any: what is left has time until the next tick."""
    with suppress(StateDatabaseError):
        pruning = pruning_of(app.job_states)
        if not pruning.prune_quickly(app.current_time() - parse_age(retention)) and not pruning.has_index():
            app.config.logger.info("log_retention waits for an index: run --prune-log once as the owner of the log")


def _age(text: str) -> timedelta:
    try:
        return parse_age(text)
    except ValueError:
        raise ConfigurationError(f"--older-than is {text!r}: expected a duration such as 180d, more than 0") from None
