"""--list-jobs: the configured jobs and their state."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple, TextIO

from crontabber.commands import Application
from crontabber.datetimeutil import timesince
from crontabber.errors import ExitCode
from crontabber.process.streams import answer, is_terminal, wants_colour
from crontabber.rules.configured_jobs import ConfiguredJobs
from crontabber.rules.job import Job, path_of
from crontabber.rules.job_state import JobState
from crontabber.rules.policy import DEFAULT, HOW_TO_GO_ON, Policy
from crontabber.rules.text import printable

HEADING = "=== JOB " + "=" * 72

# Beginnings of lines -> bold, yellow, red.
COLOURS = {HEADING: "1", "Ongoing now!": "33", "Gave up!": "31", "Error!!": "31"}


class ListedJob(NamedTuple):
    """A configured job as the report shows it: `frequency` and `time` are the texts of the setting, `zone` is the name
    of its own zone."""

    class_path: str
    app_name: str
    frequency: str
    time: str = ""
    zone: str = ""
    policy: Policy = DEFAULT


def command(app: Any) -> int | None:
    return app.list_jobs()  # type: ignore[no-any-return]


def list_jobs(app: Application, stream: TextIO | None) -> int:
    """Print the report, and log what is wrong with broken entries. Return the exit code."""
    configured = app.configured_jobs()
    if only := app.config.get("job"):
        configured = ConfiguredJobs([configured.find(only)])
    if not (configured.jobs or configured.faults):
        app.config.logger.info("No jobs are configured.")
    if app.config.get("format") == "json":
        from crontabber.commands.job_facts import answer_jobs

        answer_jobs(app, configured, stream)
    else:
        text = render_job_list(map(_listed, configured.jobs), app.states_to_read(), app.current_time())
        answer(for_terminal(text, wants_colour()) if is_terminal(stream or sys.stdout) else text, stream)
    if not configured.faults:
        return ExitCode.DONE
    from crontabber.commands.broken_entries import log_broken_entries

    log_broken_entries(app, configured)
    return ExitCode.FAILED


def render_job_list(jobs: Iterable[ListedJob], states: Mapping[str, JobState], now: datetime) -> str:
    """Return the report. Times are shown in the zone they come in, the server's."""
    return "".join(f"{line}\n" for job in jobs for line in _lines(job, states.get(job.app_name), now))


def for_terminal(report: str, coloured: bool) -> str:
    """Return the report for a terminal: control characters, which errors may contain, are escaped; headings, errors and
    ongoing jobs are highlighted if `coloured`."""
    lines = printable(report, "\n\t").split("\n")
    return "\n".join(map(_coloured, lines) if coloured else lines)


def _listed(job: Job) -> ListedJob:
    zone = str(job.zone or "")
    return ListedJob(path_of(job.job_class), job.app_name, job.config.frequency, job.config.time, zone, job.policy)


def _coloured(line: str) -> str:
    start = next((start for start in COLOURS if line.startswith(start)), None)
    return f"\x1b[{COLOURS[start]}m{line}\x1b[0m" if start else line


def _lines(job: ListedJob, state: JobState | None, now: datetime) -> Iterator[str]:
    yield HEADING
    yield _labelled("Class:", job.class_path)
    yield _labelled("App name:", job.app_name)
    at = f" @ {job.time}" if job.time else ""
    yield _labelled("Frequency:", f"{job.frequency}{at} {job.zone}".rstrip())
    if state is None:
        yield "*NO PREVIOUS RUN INFO*"
        return
    if state.ongoing:
        yield _labelled("Ongoing now!", f"Started {timesince(state.ongoing, now)} ago")
    yield _labelled("Last run:", _past(state.last_run, now, "none"))
    yield _labelled("Last success:", _past(state.last_success, now, "no previous successful run"))
    yield _labelled("Next run:", _next_run(state.next_run, now))
    if state.paused_at:
        yield _labelled("Paused!", f"{_past(state.paused_at, now, '')} by {state.paused_by}")
    if job.policy.gave_up(state):
        yield _labelled("Gave up!", HOW_TO_GO_ON)
    if state.last_error:
        yield from _error(state)
    yield ""


def _error(state: JobState) -> Iterator[str]:
    error = state.last_error
    yield _labelled("Error!!", f"({state.error_count} times)")
    yield "Traceback (most recent call last):"
    traceback = str(error.get("traceback", "")).rstrip("\n")
    if traceback:
        yield traceback
    yield f"{error.get('type')}: {error.get('value')}"


def _labelled(label: str, value: str) -> str:
    return f"{label:<15} {value}"


def _past(moment: datetime | None, now: datetime, otherwise: str) -> str:
    if moment is None:
        return otherwise
    # After a clock that was ahead, or for a date of a backfill job, it may lie in the future.
    when = f"in {timesince(now, moment)}" if moment > now else f"{timesince(moment, now)} ago"
    return f"{_stamp(moment)} ({when})"


def _next_run(moment: datetime | None, now: datetime) -> str:
    if moment is None:
        return "none"
    when = f"in {timesince(now, moment)}" if moment > now else f"was {timesince(moment, now)} ago"
    return f"{_stamp(moment)} ({when})"


def _stamp(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}".ljust(20)
