"""Write the status page: one HTML file that loads nothing. Pure: facts come in, text comes out."""

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from html import escape
from typing import NamedTuple

from crontabber.datetimeutil import brief
from crontabber.output.graph_svg import SYMBOLS, Node, class_of, graph_svg
from crontabber.output.status_page_assets import SCRIPT, STYLE
from crontabber.rules.health import STATES, error_name, short_time
from crontabber.rules.text import printable
from crontabber.store.history import LoggedRun, RecentRuns

RED = ("broken", "failing", "gave up", "overdue")
AMBER = ("held back", "paused")
HEADING = ("State", "Job", "Next", "In", "Last", "Took", "Last runs", "Why")
MOST_TROUBLED = 20
BAR_WIDTH, BAR_HEIGHT = 4, 20


class JobFacts(NamedTuple):
    """A job: its line of --status, what it depends on, its last runs, since when it needs somebody's attention, and
    its error. The texts are printable."""

    cells: Sequence[str]
    depends_on: Sequence[str] = ()
    runs: RecentRuns | None = None
    since: str = ""
    error: str = ""

    @property
    def state(self) -> str:
        return self.cells[0]

    @property
    def name(self) -> str:
        return self.cells[1]


class Page(NamedTuple):
    """What the page says. `latest` are the last runs of all jobs, each with its app_name, printable; `no_runs` says why
    there are none."""

    app_name: str
    host: str
    verdict: str
    now: datetime
    zone: tzinfo
    tick: timedelta
    jobs: Sequence[JobFacts]
    latest: Sequence[tuple[str, LoggedRun]] = ()
    no_runs: str = ""


def render_page(page: Page) -> str:
    counts = Counter(job.state for job in page.jobs)
    worst = next((state for state in STATES if state in counts), "ok")
    top, main = _top(page, counts, worst), _main(page)
    return "\n".join([*_head(page, worst), *top, "<main>", *main, "</main>", f"<script>{SCRIPT}</script>", ""])


def _hash_of(text: str) -> str:
    """Return what allows an inline text in a Content-Security-Policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _head(page: Page, worst: str) -> Iterator[str]:
    policy = (
        f"default-src 'none'; style-src {_hash_of(STYLE)}; script-src {_hash_of(SCRIPT)}; img-src data:;"
        " base-uri 'none'; form-action 'none'"
    )
    colour = {"bad": "c8251d", "warn": "c98a10"}.get(_severity(worst), "2a9147")
    circle = f"%3Ccircle cx='4.5' cy='4.5' r='4' fill='%23{colour}'/%3E"
    icon = f"%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 9 9'%3E{circle}%3C/svg%3E"
    yield "<!DOCTYPE html>"
    written, tick = int(page.now.timestamp()), max(1, int(page.tick.total_seconds()))
    yield f'<html lang="en" data-written="{written}" data-tick="{tick}">'
    yield "<head>"
    yield '<meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield '<meta name="referrer" content="no-referrer">'
    yield f'<link rel="icon" href="data:image/svg+xml,{icon}">'
    yield f"<title>{SYMBOLS[worst]} {escape(page.app_name)}: {escape(page.verdict)}</title>"
    yield f"<style>{STYLE}</style>"
    yield "</head>"


def _top(page: Page, counts: Mapping[str, int], worst: str) -> Iterator[str]:
    yield "<body>"
    yield '<p id="old" role="alert" hidden></p>'
    yield f'<header class="{_severity(worst)}"><div>'
    yield f"<h1>{escape(page.verdict)}</h1>"
    yield f"<p>{escape(page.app_name)} on {escape(page.host)}, {short_time(page.now, page.zone)}</p>"
    yield '<ul class="legend" aria-label="States">'
    for state in STATES:
        if state in counts:
            yield f'<li class="{class_of(state)}">{SYMBOLS[state]} {counts[state]} {state}</li>'
    yield "</ul>"
    yield "</div></header>"


def _main(page: Page) -> Iterator[str]:
    yield from _trouble(page)
    if page.jobs:
        yield "<h2>Dependencies</h2>"
        yield '<a class="skip" href="#jobs">Skip the picture: the table says the same</a>'
        yield '<div class="card picture" tabindex="0" role="group" aria-label="Picture of the jobs">'
        label = f"{page.verdict}. The table below says the same, and what each job depends on."
        yield graph_svg(_nodes(page.jobs), label)
        yield "</div>"
        yield from _table(page)
    yield from _latest(page)
    yield "<footer>This is what <code>crontabber --status</code> says, with a picture.</footer>"


def _trouble(page: Page) -> Iterator[str]:
    """Yield what needs somebody's attention, and since when."""
    troubled = [(number, job) for number, job in enumerate(page.jobs) if job.since or job.state in RED]
    if not troubled:
        return
    yield "<h2>Needs attention</h2>"
    yield '<ul class="card trouble">'
    for number, job in sorted(troubled, key=lambda each: STATES.index(each[1].state))[:MOST_TROUBLED]:
        since = f" since {escape(job.since)}" if job.since else ""
        error = f"<pre>{escape(job.error)}</pre>" if job.error else ""
        yield (
            f'<li class="{class_of(job.state)}"><b>{SYMBOLS[job.state]} {job.state}</b>{since}:'
            f' <a class="job" href="#j{number}">{escape(job.name)}</a> {escape(job.cells[-1])}{error}</li>'
        )
    if len(troubled) > MOST_TROUBLED:
        yield f"<li>and {len(troubled) - MOST_TROUBLED} more, which the table shows</li>"
    yield "</ul>"


def _nodes(jobs: Sequence[JobFacts]) -> list[Node]:
    # Two entries may have one name: then both are broken, or the second is.
    ids = {job.name: f"j{number}" for number, job in reversed(list(enumerate(jobs)))}
    ids |= {job.name: f"j{number}" for number, job in enumerate(jobs) if job.state != "broken"}
    return [
        Node(f"j{number}", job.name, job.state, [ids[name] for name in job.depends_on if name in ids])
        for number, job in enumerate(jobs)
    ]


def _table(page: Page) -> Iterator[str]:
    yield '<h2 id="jobs">Jobs</h2>'
    yield f'<div class="card"><table class="jobs">{_heading(HEADING)}'
    for number, job in enumerate(page.jobs):
        state, name, *times, why = (escape(cell) for cell in job.cells)
        after = f"<small>after {escape(', '.join(job.depends_on))}</small>" if job.depends_on else ""
        cells = "".join(f"<td>{time}" for time in times)
        yield (
            f'<tr id="j{number}"><td class="{class_of(state)}">{SYMBOLS[state]} {state}'
            f'<th scope="row">{name}{after}{cells}<td>{_bars(job.runs)}<td>{why}'
        )
    yield "</table></div>"


def _bars(runs: RecentRuns | None) -> str:
    """Return a small chart of the durations, oldest first, with the failures in red."""
    if not runs:
        return "-"
    seconds = [each or 0 for each in runs.seconds]
    highest = max(seconds)
    paths = {True: "", False: ""}
    for number, (each, failed) in enumerate(zip(seconds, runs.failed, strict=True)):
        height = max(2, round(BAR_HEIGHT * each / highest)) if highest else 2
        paths[failed] += f"M{BAR_WIDTH * number + 2} {BAR_HEIGHT}v-{height}"
    failures = f", {sum(runs.failed)} failed" if any(runs.failed) else ""
    label = f"{len(seconds)} run{'s' * (len(seconds) > 1)}, up to {brief(timedelta(seconds=highest))}{failures}"
    return (
        f'<svg class="bars" role="img"><title>{label}</title>'
        + (f'<path d="{paths[False]}"/>' if paths[False] else "")
        + (f'<path class="failed" d="{paths[True]}"/>' if paths[True] else "")
        + "</svg>"
    )


def _latest(page: Page) -> Iterator[str]:
    """Yield the last runs of all jobs."""
    if not page.latest:
        yield f'<p class="hint">{escape(page.no_runs)}</p>' if page.no_runs else ""
        return
    yield "<h2>Last runs</h2>"
    yield f'<div class="card"><table class="runs">{_heading(("Result", "Job", "Date", "Took", "When"))}'
    for name, run in page.latest:
        state, text = _result_of(run)
        error = f"<pre>{escape(printable(run.exc_value))}</pre>" if run.exc_value else ""
        took = brief(run.duration) if run.duration is not None else "-"
        yield (
            f'<tr><td class="{class_of(state)}">{SYMBOLS[state]} {escape(text)}<th scope="row">{escape(name)}{error}'
            f"<td>{short_time(run.slot, page.zone)}<td>{took}<td>{short_time(run.log_time, page.zone)}"
        )
    yield "</table></div>"


def _result_of(run: LoggedRun) -> tuple[str, str]:
    """Return the state that a run resembles, and its result in words."""
    if run.has_failed:
        return "failing", f"failed ({error_name(run.exc_type)})"
    return ("never ran", f"marked by {printable(run.host or '')}") if run.is_mark else ("ok", "ok")


def _heading(titles: Iterable[str]) -> str:
    """Return the head of a table, and the start of its body. Rows and cells end where the next begin: HTML leaves the
    end tags to us, and a thousand rows are smaller without."""
    return f"<thead><tr>{''.join(f'<th scope=col>{title}' for title in titles)}<tbody>"


def _severity(state: str) -> str:
    return "bad" if state in RED else "warn" if state in AMBER else "good"
