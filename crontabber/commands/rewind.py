"""--rewind: move the cursor of a backfill job back, so that the next ticks run its dates once more."""

from datetime import datetime, timedelta
from functools import partial
from typing import Any

from crontabber.commands import Application
from crontabber.commands.changing import all_rows, is_agreed, who, with_claim
from crontabber.errors import ConfigurationError, ExitCode, NoSuchDateError
from crontabber.rules.backfill import dates_to_skip, next_date
from crontabber.rules.job import Job
from crontabber.rules.job_state import JobState
from crontabber.rules.named_dates import date_before, date_named, dates_between, shown, shown_range
from crontabber.store.claims import Claim


def command(app: Application) -> int:
    job, states = app.configured_jobs().find(app.config["rewind"]), app.job_states
    if not job.is_backfill:
        raise ConfigurationError(f"{job.app_name} is no backfill job, so it has no dates: --rerun runs it once more")
    row = all_rows(states).get(job.app_name) or JobState(job.app_name)
    first = date_named(app.config["to"], job, row, states.zone)
    following = next_date(job.schedule, row, job.zone or states.zone)
    if row.last_success is None or following is None or first >= following:
        raise NoSuchDateError(
            f"{job.app_name} has not done {shown(first, job.zone or states.zone)} yet:"
            " --rewind goes back, --mark-success skips dates"
        )
    again = dates_between(first, date_before(following, job, states.zone), job, states.zone)
    _refuse_if_skipped(app, job, row, first)
    if not is_agreed(app, [f"{job.app_name}: run again: {shown_range(again, job.zone or states.zone)}"]):
        return ExitCode.DONE
    return with_claim(app, job, partial(_rewind, app, job, first), row)


def _refuse_if_skipped(app: Application, job: Job, row: JobState, first: datetime) -> None:
    """NoSuchDateError if the policy of the job would skip dates that it is rewound to."""
    zone, catchup = job.zone or app.job_states.zone, job.policy.catchup
    rewound = row._replace(last_success=date_before(first, job, zone))
    if catchup and dates_to_skip(job.schedule, rewound, app.current_time(), zone, catchup):
        raise NoSuchDateError(
            f"{job.app_name} would skip some of them: its policy has catchup={catchup}. --rerun runs them all"
        )


def _rewind(app: Any, job: Job, first: datetime, claim: Claim) -> int:
    states = app.job_states
    state = claim.state._replace(next_run=first, error_count=0, last_error={}, depends_on=job.depends_on)
    before = date_before(first, job, states.zone)
    # The runs of the dates have their rows in the log already: this adds none.
    states.claims.settle(claim, state, timedelta(0), before, None, True)
    app.config.logger.info("%s was rewound to %s by %s", job.app_name, shown(first, job.zone or states.zone), who())
    return ExitCode.DONE
