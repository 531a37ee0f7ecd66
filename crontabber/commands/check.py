"""--check: a line, performance data and an exit code for Nagios, Icinga and their kin."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from crontabber.commands import Application
from crontabber.commands.job_facts import broken_facts, facts_of_all, faults_of, wants_errors, wants_json
from crontabber.commands.overview import Overview, interval_of_ticks, overview
from crontabber.datetimeutil import brief, utc_now
from crontabber.engine.plans import cursor_ahead
from crontabber.errors import CrontabberError, EmbeddedServerError, OutputError, StateDatabaseError
from crontabber.output.json_text import as_document
from crontabber.process.streams import answer
from crontabber.rules.health import Health, short_time
from crontabber.rules.measures import (
    NAMES,
    Measure,
    Severity,
    Thresholds,
    WatchedJob,
    default_thresholds,
    measures,
    severity_of,
    summary,
)
from crontabber.rules.plan import Step
from crontabber.rules.text import one_line, shortened
from crontabber.rules.thresholds import parse_thresholds
from crontabber.rules.wrong_clock import CLOCK_TOLERANCE, corrected, is_ahead
from crontabber.store.heartbeat import LastTick
from crontabber.store.schema import OWNER_CAN

# Nagios takes 8 KiB in all, older versions and NRPE less.
MOST_DETAILS, LONGEST_LINE = 20, 300

# What needs somebody, or may soon.
TROUBLES = frozenset(("broken", "failing", "gave up", "overdue", "held back", "paused"))


class Report(NamedTuple):
    """The verdict, a line about it, what was measured, lines about jobs, and the facts about them for JSON."""

    severity: Severity
    summary: str
    measures: Sequence[Measure] = ()
    details: Sequence[str] = ()
    jobs: Sequence[Any] = ()


def command(app: Application) -> int:
    """Print the report. Return the exit code."""
    warning, critical = _thresholds(app.config)
    try:
        report = _report(overview(app), warning, critical)
    except (StateDatabaseError, EmbeddedServerError) as error:
        report = Report(Severity.CRITICAL, str(error))
    return _print(report, app.app_version, app.current_time(), wants_json(app))


def report_misuse(error: CrontabberError, version: str, as_json: bool) -> int:
    """Print the report of a check that could not be made: it says nothing about the jobs. Return the exit code."""
    report = Report(Severity.UNKNOWN, str(error))
    with suppress(OutputError, BrokenPipeError):
        _print(report, version, utc_now(), as_json)
    return report.severity


def render_report(report: Report) -> str:
    """Return the line with the performance data, and one for each detail. A | would begin performance data."""
    data = " ".join(measure.performance_data() for measure in report.measures)
    lines = [f"CRONTABBER {report.severity.name}: {report.summary}", *report.details[:MOST_DETAILS]]
    if len(report.details) > MOST_DETAILS:
        lines.append(f"... and {len(report.details) - MOST_DETAILS} more: see --status")
    first, *others = (shortened(one_line(line).replace("|", "/"), LONGEST_LINE) for line in lines)
    return "".join(f"{line}\n" for line in (f"{first} | {data}" if data else first, *others))


def _print(report: Report, version: str, now: datetime, as_json: bool) -> int:
    answer(as_document(version, now, {"check": _facts(report)}) if as_json else render_report(report))
    return report.severity


def _thresholds(config: Any) -> tuple[Thresholds, Thresholds]:
    """Return what is worth a warning and what is critical: the defaults, with those of the command line over them."""
    defaults = default_thresholds(interval_of_ticks(config.crontabber))
    given = (parse_thresholds(config.get(name) or "", NAMES) for name in ("warning", "critical"))
    warning, critical = ({**ours, **theirs} for ours, theirs in zip(defaults, given, strict=True))
    return warning, critical


def _report(seen: Overview, warning: Thresholds, critical: Thresholds) -> Report:
    steps = [(step, seen.health(step)) for step in seen.steps()]
    last_tick = seen.history.last_tick() if seen.history else None
    watched = [*_broken(seen), *(_watched(seen, step, health) for step, health in steps)]
    found = measures(watched, _tick_age(seen, last_tick), warning, critical)
    jobs: Sequence[Any] = ()
    if wants_json(seen.app):
        jobs = [*broken_facts(seen.configured, wants_errors(seen.app)), *facts_of_all(seen.app, seen)]
    details = [*_details(seen, steps), *_about_ticks(seen, last_tick)]
    return Report(severity_of(found), summary(found), found, details, jobs)


def _broken(seen: Overview) -> Iterator[WatchedJob]:
    for entry in seen.configured.broken():
        yield WatchedJob(entry.app_name or entry.path, frozenset(("broken",)))


def _watched(seen: Overview, step: Step, health: Health) -> WatchedJob:
    row, name = step.row, step.job.app_name
    states = {health.state.replace(" ", "_")}
    if row.error_count and states.isdisjoint(("paused", "gave_up")):
        states.add("failing")  # also while it is retried, or held back
    if step.job.is_backfill and is_ahead(row.last_success, seen.now):
        states.add("ahead")
    ongoing = seen.tick.ongoing.get(name)
    return WatchedJob(
        name, frozenset(states), health.outstanding_dates or 0,
        since_success=max(seen.now - row.last_success, timedelta(0)) if row.last_success else None,
        running=max(seen.now - ongoing["since"], timedelta(0)) if ongoing else None,
    )  # fmt: skip


def _tick_age(seen: Overview, last_tick: LastTick | None) -> timedelta | None:
    """Return the age of the last tick. One that holds the lock of a job is alive."""
    if seen.is_tick_alive:
        return timedelta(0)
    return max(last_tick.age, timedelta(0)) if last_tick else None


def _details(seen: Overview, steps: Sequence[tuple[Step, Health]]) -> Iterator[str]:
    """Yield a line for each broken entry, and for each job that needs somebody."""
    for entry in seen.configured.broken():
        yield f"broken: {'; '.join(faults_of(seen.configured, entry))}"
    for step, health in steps:
        row, job = step.row, step.job
        if health.state in TROUBLES or row.error_count:
            error = f"; last error: {row.last_error.get('value')}" if row.error_count and row.last_error else ""
            yield f"{health.state}: {job.app_name}: {health.why}{error}"
        if job.is_backfill and is_ahead(row.last_success, seen.now):
            message, *arguments = cursor_ahead(job, row, seen.now, seen.zone)
            yield message % tuple(arguments)
        elif _is_postponed(seen, step):
            when = short_time(row.next_run, seen.zone)
            yield f"postponed: {job.app_name}: its next run is planned for {when}, later than its schedule says"


def _is_postponed(seen: Overview, step: Step) -> bool:
    planned, every = step.row.next_run, step.job.schedule.every
    is_far = planned is not None and planned - seen.now > every + CLOCK_TOLERANCE
    return is_far and corrected(step.job, step.row, seen.now, seen.zone) is not None


def _about_ticks(seen: Overview, last_tick: LastTick | None) -> Iterator[str]:
    """Yield when the last tick was, or which statements would make it known, and what else our tables lack."""
    if last_tick and last_tick.time:
        when = short_time(last_tick.time, seen.zone)
        yield f"last tick: {when} on {last_tick.host} ({brief(last_tick.age)} ago; times in {seen.zone})"
    if seen.history and seen.tick.states:
        for text in seen.history.lacks():
            yield f"{text.partition(OWNER_CAN)[0]}: --status has the statements for the owner of the tables"


def _facts(report: Report) -> dict[str, Any]:
    return {
        "status": report.severity.name.lower(),
        "exit_code": report.severity,
        "summary": one_line(report.summary),
        "measures": [_measure_facts(measure) for measure in report.measures],
        "jobs": report.jobs,
    }


def _measure_facts(measure: Measure) -> dict[str, Any]:
    is_known = measure.value is not None and measure.value != float("inf")
    return {
        "name": measure.name,
        "value": measure.value if is_known else None,
        "unit": measure.unit or None,
        "warning": measure.warning and measure.warning.text,
        "critical": measure.critical and measure.critical.text,
        "status": measure.severity.name.lower(),
        "app_names": measure.app_names,
    }
