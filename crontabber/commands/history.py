"""--history: the last runs of one job."""

from collections.abc import Iterator, Sequence
from datetime import timedelta, tzinfo
from typing import Any, NamedTuple

from crontabber.commands import Application
from crontabber.commands.job_facts import answer_json, wants_errors, wants_json
from crontabber.datetimeutil import brief
from crontabber.errors import CrontabberError, ExitCode, JobsSettingError
from crontabber.output.table import cut, render_table
from crontabber.process.streams import answer
from crontabber.rules.health import error_name, short_time
from crontabber.rules.text import one_line, printable
from crontabber.store.history import History, LoggedRun, history_of

HEADING = ("WHEN", "TOOK", "DATE", "HOST", "RESULT")
RUNS = 20
# Columns of an error in the table.
LIMIT = 100


class Summary(NamedTuple):
    """What the listed runs have in common; marks are none. The durations are None if no run has one."""

    average: timedelta | None
    slowest: timedelta | None
    success_rate: float | None


def command(app: Application) -> int:
    """Print the runs, newest first, or the same as JSON. Return the exit code."""
    reader = app.state_reader()
    log = history_of(reader)
    if log is None:
        raise CrontabberError(f"--history: {app.config.crontabber.job_state_db_class.__name__} keeps no log")
    last = int(app.config.get("last") or RUNS)
    app_name, runs = _runs(app, log, app.config["history"], last)
    if wants_json(app):
        answer_json(app, _facts(app_name, runs, wants_errors(app)))
    else:
        answer("".join(f"{line}\n" for line in render_history(app_name, runs, reader.zone)))
    return ExitCode.DONE


def render_history(app_name: str, runs: Sequence[LoggedRun], zone: tzinfo) -> Iterator[str]:
    """Yield a line for each run, then what they have in common, then the last error whole."""
    if not runs:
        yield f"{printable(app_name)} has not run yet."
        return
    number = "last run" if len(runs) == 1 else f"last {len(runs)} runs"
    yield f"{printable(app_name)}, {number} (times in {zone})"
    yield ""
    yield from render_table([HEADING, *(_row(run, zone) for run in runs)])
    summary = summary_of(runs)
    yield ""
    if summary.average is not None and summary.slowest is not None:
        yield f"Average: {brief(summary.average)}; slowest: {brief(summary.slowest)}"
    if summary.success_rate is not None:
        yield f"Successes: {summary.success_rate:.0%}"
    failed = next((run for run in runs if run.has_failed), None)
    if failed:
        yield ""
        yield f"Last error, {short_time(failed.log_time, zone)}:"
        yield printable(f"{failed.exc_traceback or ''}\n{failed.exc_value or failed.exc_type}".lstrip("\n"), "\n\t")


def summary_of(runs: Sequence[LoggedRun]) -> Summary:
    runs = [run for run in runs if not run.is_mark]
    durations = [run.duration for run in runs if run.duration is not None]
    average = sum(durations, timedelta(0)) / len(durations) if durations else None
    success_rate = sum(not run.has_failed for run in runs) / len(runs) if runs else None
    return Summary(average, max(durations, default=None), success_rate)


def _runs(app: Application, log: History, description: str, last: int) -> tuple[str, list[LoggedRun]]:
    """Return the app_name that is meant, also of a job that is no longer configured but has run, and its runs."""
    try:
        app_name = app.configured_jobs().find(description).app_name
    except JobsSettingError:
        runs = log.runs(description, last)
        if not runs:
            raise
        return description, runs
    return app_name, log.runs(app_name, last)


def _row(run: LoggedRun, zone: tzinfo) -> Sequence[str]:
    if run.has_failed:
        result = cut(one_line(run.exc_value or error_name(run.exc_type)), LIMIT, at_end=True)
    else:
        result = "marked" if run.is_mark else "ok"
    return (
        short_time(run.log_time, zone), brief(run.duration) if run.duration is not None else "-",
        short_time(run.slot, zone), one_line(run.host or "-"), result,
    )  # fmt: skip


def _facts(app_name: str, runs: Sequence[LoggedRun], with_errors: bool) -> dict[str, Any]:
    summary = summary_of(runs)
    return {
        "app_name": app_name,
        "runs": [_run_facts(run, with_errors) for run in runs],
        "average_duration": summary.average,
        "slowest_duration": summary.slowest,
        "success_rate": summary.success_rate,
    }


def _run_facts(run: LoggedRun, with_errors: bool) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "log_time": run.log_time,
        "duration": run.duration,
        "is_success": not run.has_failed,
        "success": run.success,
        "slot": run.slot,
        "host": run.host,
    }
    if with_errors:
        error = {"type": run.exc_type, "value": run.exc_value, "traceback": run.exc_traceback}
        facts["error"] = error if run.has_failed else None
    return facts
