"""--status: a table with one line per job, in the order of a tick."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta, tzinfo

from crontabber.commands import Application
from crontabber.commands.job_facts import (
    answer_json,
    broken_facts,
    facts_of_all,
    faults_of,
    wants_errors,
    wants_json,
)
from crontabber.commands.overview import Overview, overview
from crontabber.datetimeutil import brief
from crontabber.errors import ExitCode
from crontabber.output.table import render_table, terminal_width
from crontabber.process.streams import answer, is_terminal, wants_colour
from crontabber.rules.health import STATES, short_time
from crontabber.rules.plan import Step
from crontabber.rules.text import one_line, printable

HEADING = ("STATE", "JOB", "NEXT", "IN", "LAST", "TOOK", "WHY")
JOB, WHY = HEADING.index("JOB"), HEADING.index("WHY")

# State -> red, yellow, green. The word is there without colours, too.
COLOURS = {
    "broken": "31", "failing": "31", "gave up": "31", "overdue": "31", "held back": "33", "paused": "33",
    "ongoing": "33", "ok": "32",
}  # fmt: skip


def command(app: Application) -> int:
    """Print the table, or the same as JSON. Return the exit code: broken entries are a failure."""
    seen = overview(app)
    if wants_json(app):
        broken = broken_facts(seen.configured, wants_errors(app))
        answer_json(app, {"jobs": [*broken, *facts_of_all(app, seen)]})
    else:
        durations = seen.durations()
        rows = [*broken_rows(seen), *(row_of(step, seen, durations) for step in seen.steps())]
        notes = [*_silence(seen), *(seen.history.lacks() if seen.history else [])]
        lines = [*render_status(rows, seen.zone, is_terminal(sys.stdout)), *(f"\n{text}" for text in notes)]
        answer("".join(f"{line}\n" for line in lines))
    return ExitCode.FAILED if seen.configured.faults else ExitCode.DONE


def _silence(seen: Overview) -> Iterator[str]:
    """Yield a line if cron seems to be dead. A tick that holds the lock of a job is alive."""
    last = seen.history.last_tick() if seen.history else None
    if last and last.time and last.age > 3 * seen.tick_interval and not seen.is_tick_alive:
        yield f"The last tick was {brief(last.age)} ago, on {printable(last.host)}: does cron start crontabber?"


def render_status(rows: Sequence[Sequence[str]], zone: tzinfo, on_terminal: bool = False) -> Iterator[str]:
    """Yield the verdict and the table. Only on a terminal is it cut to a width, and coloured."""
    yield verdict_of([row[0] for row in rows], zone)
    if not rows:
        return
    yield ""
    lines = render_table([HEADING, *rows], terminal_width() if on_terminal else None, (JOB, WHY))
    coloured = on_terminal and wants_colour()
    yield f"\x1b[1m{lines[0]}\x1b[0m" if coloured else lines[0]
    for row, line in zip(rows, lines[1:], strict=True):
        colour = COLOURS.get(row[0]) if coloured else None
        yield f"\x1b[{colour}m{row[0]}\x1b[0m{line[len(row[0]):]}" if colour else line


def verdict_of(states: Sequence[str], zone: tzinfo) -> str:
    """Return a sentence about these states: "3 jobs: 1 failing, 2 ok (times in UTC)"."""
    jobs = "1 job" if len(states) == 1 else f"{len(states)} jobs"
    counts = [f"{states.count(state)} {state}" for state in STATES if state in states]
    summary = "all ok" if set(states) == {"ok"} else ", ".join(counts)
    return f"{jobs}: {summary} (times in {zone})" if states else "No jobs are configured."


def row_of(step: Step, seen: Overview, durations: Mapping[str, timedelta]) -> Sequence[str]:
    """Return the cells of a job, as in HEADING."""
    health, zone = seen.health(step), seen.zone
    took = durations.get(step.job.app_name)
    return (
        health.state, printable(step.job.app_name), *_plan(step, seen, zone),
        short_time(step.row.last_run, zone), brief(took) if took is not None else "-", printable(health.why),
    )  # fmt: skip


def _plan(step: Step, seen: Overview, zone: tzinfo) -> tuple[str, str]:
    """Return when it runs next, and how long that takes from now."""
    if step.is_stopped:
        return "-", "-"
    if step.is_due:
        return short_time(step.next_run, zone), "due"
    return short_time(step.next_run, zone), brief(step.next_run - seen.now) if step.next_run else "-"


def broken_rows(seen: Overview) -> Iterator[Sequence[str]]:
    """Yield the cells of each broken entry."""
    for entry in seen.configured.broken():
        why = "; ".join(faults_of(seen.configured, entry))
        yield "broken", printable(entry.app_name or entry.path), "-", "-", "-", "-", one_line(why)
