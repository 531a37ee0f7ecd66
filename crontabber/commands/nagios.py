"""--nagios: one line and an exit code for the monitoring."""

import unicodedata
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from crontabber.rules.job_state import JobState

# Characters of one job's part of the line; more would drown the others.
LIMIT = 1000


class Verdict(NamedTuple):
    """What Nagios is told: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN."""

    exit_code: int
    line: str


class WatchedJob(NamedTuple):
    app_name: str
    class_name: str
    is_backfill: bool


def judge(jobs: Iterable[WatchedJob], states: Mapping[str, JobState]) -> Verdict:
    """A backfill job with exactly one error is a warning, any other job with an error critical (manual, 1.3.2)."""
    warnings: list[str] = []
    criticals: list[str] = []
    for job in jobs:
        state = states.get(job.app_name)
        if state is not None and state.error_count:
            mild = job.is_backfill and state.error_count == 1
            (warnings if mild else criticals).append(_part(job, state))
    if criticals:
        return Verdict(2, f"CRITICAL - {'; '.join(criticals + warnings)}")
    if warnings:
        return Verdict(1, f"WARNING - {'; '.join(warnings)}")
    return Verdict(0, "OK - All systems nominal")


def critical(text: str) -> Verdict:
    return Verdict(2, f"CRITICAL - {one_line(text)}")


def unknown(text: str) -> Verdict:
    """For what says nothing about the jobs: the check itself could not be made."""
    return Verdict(3, f"UNKNOWN - {one_line(text)}")


def one_line(text: str) -> str:
    """`text` without line breaks and control characters: any run of them and of white space becomes one space."""
    return " ".join("".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in text).split())


def _part(job: WatchedJob, state: JobState) -> str:
    error = state.last_error
    fields = (f"{job.app_name} ({job.class_name})", str(error.get("type")), str(error.get("value")))
    text = " | ".join(map(one_line, fields))
    return text if len(text) <= LIMIT else text[: LIMIT - 1] + "…"
