"""Log how a run ended. cron mails what is at WARNING or above: failures that are news, and the success after them."""

import os
import sys
from datetime import datetime, tzinfo
from typing import Any

from crontabber.datetimeutil import host_time, timesince
from crontabber.engine.failure import as_log_text
from crontabber.rules.after_death import deaths_of
from crontabber.rules.job import Job
from crontabber.rules.job_state import Failure, JobState, Outcome
from crontabber.rules.news import is_news
from crontabber.rules.policy import HOW_TO_GO_ON
from crontabber.rules.text import one_line

# Characters of an error that is logged without its traceback.
LIMIT = 500


def log_run(logger: Any, job: Job, before: JobState | None, outcome: Outcome, state: JobState, zone: tzinfo) -> None:
    """Log a run that found the job in the state `before` and left it in `state`; dates are those of `zone`."""
    if outcome.failure is None:
        _log_success(logger, job, before, outcome, state)
        return
    next_attempt = _next_attempt(job, state, outcome.finished)
    if outcome.delay is not None:
        reason = one_line(outcome.failure.value)
        logger.info("%s asked to run later (%s); %s", job.app_name, reason, next_attempt)
        return
    news = job.policy.gave_up(state) or is_news(before, outcome, zone, code_of(job.job_class))
    if outcome.interrupted:
        log, end = logger.warning, f"was interrupted after {_seconds(outcome)}"
    else:
        log, verb = logger.error, "failed" if news else "failed again"
        end = f"{verb} after {_seconds(outcome)} ({_streak(job, state, outcome.finished)})"
    if news:
        log("%s %s; %s\n%s", job.app_name, end, next_attempt, as_log_text(outcome.failure))
    else:
        logger.info("%s %s; %s; %s", job.app_name, end, next_attempt, _in_one_line(outcome.failure))


def log_death(logger: Any, job: Job, state: JobState, now: datetime) -> None:
    """Log that the process that ran the job died, which left it in `state`. Only the first death in a row is mailed."""
    log = logger.warning if deaths_of(state) == 1 else logger.info
    stays_due = state.next_run is None or state.next_run <= now
    following = "it runs again after the other jobs" if stays_due else _next_attempt(job, state, now)
    log("%s: %s; %s", job.app_name, one_line(str(state.last_error.get("value"))), following)


def log_failed_rerun(logger: Any, app_name: str, seconds: float, failure: Failure) -> None:
    logger.error("%s: the rerun failed after %.1f s\n%s", app_name, seconds, as_log_text(failure))


def log_dead_rerun(logger: Any, seen: JobState) -> None:
    """Log that the process of a rerun, which claimed the row `seen`, has died."""
    process = one_line(seen.process or "")
    logger.warning("%s: %s, which ran it once more, ended without a result", seen.app_name, process)


def code_of(job_class: type) -> str:
    """Return what the paths of the job's own code begin with: the folder of its package, or its only file."""
    module = sys.modules.get(job_class.__module__)
    path = getattr(module, "__file__", None) or ""
    packages = job_class.__module__.count(".") + hasattr(module, "__path__")
    for _ in range(packages):
        path = os.path.dirname(path)
    return path + os.sep if packages else path


def _log_success(logger: Any, job: Job, before: JobState | None, outcome: Outcome, state: JobState) -> None:
    next_run = host_time(state.next_run) if state.next_run else "never"
    if before is None or not before.error_count:
        logger.info("%s ran in %s; next run at %s", job.app_name, _seconds(outcome), next_run)
        return
    logger.warning(
        "%s works again: it ran in %s (before that, %s); next run at %s",
        job.app_name, _seconds(outcome), _streak(job, before, outcome.finished), next_run,
    )  # fmt: skip


def _streak(job: Job, state: JobState, now: datetime) -> str:
    """Say how often the job has failed in a row, and since when."""
    since = "no success yet"
    if state.last_success is not None:
        last = "last date done" if job.is_backfill else "last success"
        since = f"{last}: {host_time(state.last_success)}, {timesince(state.last_success, now)} ago"
    elif state.first_run is not None:
        since = f"no success since its first run at {host_time(state.first_run)}"
    return f"failures in a row: {state.error_count}; {since}"


def _next_attempt(job: Job, state: JobState, now: datetime) -> str:
    if job.policy.gave_up(state):
        return f"it gave up ({HOW_TO_GO_ON})"
    when = "the next tick" if state.next_run is None or state.next_run <= now else host_time(state.next_run)
    return f"next attempt at {when}"


def _seconds(outcome: Outcome) -> str:
    return f"{(outcome.finished - outcome.started).total_seconds():.1f} s"


def _in_one_line(failure: Failure) -> str:
    text = one_line(f"{failure.type}: {failure.value}")
    return text if len(text) <= LIMIT else f"{text[:LIMIT]}..."
