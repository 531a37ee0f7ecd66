"""--nagios: one line and an exit code for Nagios."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple, TextIO

from crontabber.commands import Application
from crontabber.errors import CrontabberError, EmbeddedServerError, OutputError, StateDatabaseError
from crontabber.process.streams import answer
from crontabber.rules.job import Job
from crontabber.rules.job_state import JobState
from crontabber.rules.policy import DEFAULT, Policy
from crontabber.rules.text import one_line, shortened

# Characters per job: a longer text would hide the others.
LIMIT = 1000


class Verdict(NamedTuple):
    """The answer to Nagios: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN."""

    exit_code: int
    line: str


class WatchedJob(NamedTuple):
    app_name: str
    class_name: str
    is_backfill: bool
    policy: Policy = DEFAULT


def command(app: Any) -> int | None:
    return app.nagios()  # type: ignore[no-any-return]


def nagios(app: Application, stream: TextIO | None) -> int:
    """Print one line. Return the exit code that Nagios expects."""
    jobs, faults = app.configured_jobs()
    try:
        verdict = judge(map(_watched, jobs), app.states_to_read(), [fault.text for fault in faults])
    except (StateDatabaseError, EmbeddedServerError) as error:
        verdict = critical(str(error))
    answer(f"{verdict.line}\n", stream)
    return verdict.exit_code


def report_misuse(error: CrontabberError) -> int:
    """Print the line for an error that prevented the check. Return the exit code."""
    verdict = unknown(str(error))
    with suppress(OutputError, BrokenPipeError):
        answer(f"{verdict.line}\n")
    return verdict.exit_code


def judge(jobs: Iterable[WatchedJob], states: Mapping[str, JobState], faults: Iterable[str] = ()) -> Verdict:
    """Judge the jobs: a backfill job with exactly one error is a warning, everything else critical (manual, 1.3.2), and
    so are a job that gave up at its first error, and the faults of the `jobs` setting."""
    warnings: list[str] = []
    criticals = [shortened(one_line(fault), LIMIT) for fault in faults]
    for job in jobs:
        state = states.get(job.app_name)
        if state is not None and state.error_count:
            mild = job.is_backfill and state.error_count == 1 and not job.policy.gave_up(state)
            (warnings if mild else criticals).append(_part(job, state))
    if criticals:
        return Verdict(2, f"CRITICAL - {'; '.join(criticals + warnings)}")
    if warnings:
        return Verdict(1, f"WARNING - {'; '.join(warnings)}")
    return Verdict(0, "OK - All systems nominal")


def critical(text: str) -> Verdict:
    return Verdict(2, f"CRITICAL - {one_line(text)}")


def unknown(text: str) -> Verdict:
    """Return the verdict for a check that could not be made: it says nothing about the jobs."""
    return Verdict(3, f"UNKNOWN - {one_line(text)}")


def _watched(job: Job) -> WatchedJob:
    return WatchedJob(job.app_name, job.job_class.__name__, job.is_backfill, job.policy)


def _part(job: WatchedJob, state: JobState) -> str:
    error = state.last_error
    fields = (f"{job.app_name} ({job.class_name})", str(error.get("type")), str(error.get("value")))
    return shortened(" | ".join(map(one_line, fields)), LIMIT)
