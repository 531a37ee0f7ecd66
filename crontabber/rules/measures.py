"""What --check measures, and its verdict. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from enum import IntEnum
from math import inf
from typing import NamedTuple

from crontabber.datetimeutil import brief
from crontabber.rules.text import shortened
from crontabber.rules.thresholds import Range, parse_range

STATES = ("broken", "failing", "gave_up", "overdue", "held_back", "paused", "ongoing", "never_ran")
NAMES = ("jobs", *STATES, "ahead", "outstanding_dates", "oldest_success", "longest_run", "tick_age")
WARNING = {"jobs": "1:", "overdue": "0", "ahead": "0"}
CRITICAL = {"broken": "0", "failing": "0", "gave_up": "0"}
# Times tick_interval.
TICKS_TO_WARN, TICKS_TO_ALARM = 3, 6

# The first line: a pager shows little more.
MOST_NAMES, LONGEST_NAME = 10, 60

Thresholds = Mapping[str, Range | None]


class Severity(IntEnum):
    """The exit codes of a monitoring plugin."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


class Measure(NamedTuple):
    """A value, None if it is not known. The words say it to people; it is about the jobs `app_names`."""

    name: str
    value: float | None
    words: str
    app_names: Sequence[str] = ()
    unit: str = ""
    warning: Range | None = None
    critical: Range | None = None

    @property
    def severity(self) -> Severity:
        if self.value is None:
            return Severity.OK
        if self.critical and self.critical.alerts(self.value):
            return Severity.CRITICAL
        return Severity.WARNING if self.warning and self.warning.alerts(self.value) else Severity.OK

    def performance_data(self) -> str:
        """Return `failing=2;;0`, in the form of the guidelines; U stands for a value that is not known."""
        value = "U" if self.value is None or self.value == inf else f"{self.value:.0f}{self.unit}"
        thresholds = (threshold.text if threshold else "" for threshold in (self.warning, self.critical))
        return ";".join((f"{self.name}={value}", *thresholds)).rstrip(";")


class WatchedJob(NamedTuple):
    """What --check has to know about a job, or a broken entry. Of the states, several may hold: a failing job may be
    ongoing. `since_success` is the age of its last success, `running` how long it has been running."""

    app_name: str
    states: frozenset[str]
    outstanding_dates: int = 0
    since_success: timedelta | None = None
    running: timedelta | None = None


def default_thresholds(tick_interval: timedelta) -> tuple[Thresholds, Thresholds]:
    """Return those that warn, and those that are critical."""
    seconds = tick_interval.total_seconds()
    warning = WARNING | {"tick_age": f"{TICKS_TO_WARN * seconds:g}"}
    critical = CRITICAL | {"tick_age": f"{TICKS_TO_ALARM * seconds:g}"}
    return _parsed(warning), _parsed(critical)


def measures(
    jobs: Sequence[WatchedJob], tick_age: timedelta | None, warning: Thresholds, critical: Thresholds
) -> list[Measure]:
    """Return all measures, in the order of NAMES. A `tick_age` of timedelta.max means that there was no tick yet."""
    return [
        measure._replace(warning=warning.get(measure.name), critical=critical.get(measure.name))
        for measure in (_number_of_jobs(jobs), *_counts(jobs), *_of_jobs(jobs), _tick_age(tick_age))
    ]


def severity_of(found: Iterable[Measure]) -> Severity:
    return max((measure.severity for measure in found), default=Severity.OK)


def summary(found: Sequence[Measure]) -> str:
    """Return what alerts, the worst first, and the jobs that it is about; if nothing does, what there is."""
    alerts = sorted((measure for measure in found if measure.severity), key=lambda measure: -measure.severity)
    if not alerts:
        there = [measure.words for measure in found if measure.name in ("jobs", *STATES) and measure.value]
        return ", ".join(there) or found[0].words
    names = list(dict.fromkeys(name for measure in alerts for name in measure.app_names))
    shown = [shortened(name, LONGEST_NAME) for name in names[:MOST_NAMES]]
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    about = f": {', '.join(shown)}{more}" if names else ""
    return ", ".join(measure.words for measure in alerts) + about


def _number_of_jobs(jobs: Sequence[WatchedJob]) -> Measure:
    words = {0: "no jobs are configured", 1: "1 job"}
    return Measure("jobs", len(jobs), words.get(len(jobs), f"{len(jobs)} jobs"))


def _counts(jobs: Sequence[WatchedJob]) -> Iterator[Measure]:
    for state in (*STATES, "ahead"):
        names = [job.app_name for job in jobs if state in job.states]
        words = "ahead of time" if state == "ahead" else state.replace("_", " ")
        yield Measure(state, len(names), f"{len(names)} {words}", names)


def _of_jobs(jobs: Sequence[WatchedJob]) -> Iterator[Measure]:
    dates = sum(job.outstanding_dates for job in jobs)
    behind = [job.app_name for job in jobs if job.outstanding_dates]
    yield Measure("outstanding_dates", dates, f"{dates} outstanding date{'s' * (dates != 1)}", behind)
    ages = [(job.since_success, job.app_name) for job in jobs if job.since_success is not None]
    yield _longest("oldest_success", "oldest success {} ago", ages)
    yield _longest("longest_run", "longest run {}", [(job.running, job.app_name) for job in jobs if job.running])


def _longest(name: str, words: str, durations: Sequence[tuple[timedelta, str]]) -> Measure:
    if not durations:
        return Measure(name, 0 if name == "longest_run" else None, words.format("unknown"), (), "s")
    longest, app_name = max(durations)
    return Measure(name, longest.total_seconds(), words.format(brief(longest)), [app_name], "s")


def _tick_age(age: timedelta | None) -> Measure:
    if age is None:
        return Measure("tick_age", None, "unknown", (), "s")
    if age == timedelta.max:
        return Measure("tick_age", inf, "no tick yet", (), "s")
    return Measure("tick_age", age.total_seconds(), f"no tick for {brief(age)}", (), "s")


def _parsed(texts: Mapping[str, str]) -> Thresholds:
    return {name: parse_range(text) for name, text in texts.items()}
