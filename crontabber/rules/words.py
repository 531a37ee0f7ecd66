"""Say in words why a job does not run. Pure: the only place that turns reasons into text."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from crontabber.datetimeutil import host_time
from crontabber.rules.policy import HOW_TO_GO_ON
from crontabber.rules.text import one_line
from crontabber.rules.verdict import Condition

# A clause about a dependency, as check_dependencies returns it.
_OF_DEPENDENCIES = {
    "dependency_never_ran": "has not run yet",
    "dependency_unconfigured": "has not run yet, and is not configured here",
    "dependency_failed": "errored last time",
    "dependency_stale": "has not run recently",
    "dependency_paused": "is paused",
    "dependency_gave_up": "gave up",
}


def because(reason: Condition, say: Callable[[datetime], str] = host_time) -> str:
    """Return a clause: "its dependency 'x' has not run yet". `say` turns a time into text."""
    facts = reason.facts
    if reason.code in _OF_DEPENDENCIES:
        return f"its dependency {about_dependency(reason)}"
    if reason.code == "broken_entry":
        return f"it depends on {facts['dependency']!r}, whose entry in the setting jobs is broken"
    if reason.code == "gave_up":
        return f"it gave up ({HOW_TO_GO_ON})"
    if reason.code == "paused":
        return f"it is paused{_paused(facts, say)}"
    if reason.code == "ongoing":
        return f"it is already running{_running(facts, say)}"
    if reason.code == "application":
        return str(facts["reason"])
    what = "waits for its retry" if reason.code == "waiting_for_retry" else "is not due"
    return f"it {what}" + (f" until {say(facts['next_run'])}" if facts["next_run"] else "")


def about_dependency(reason: Condition) -> str:
    """Return a clause about a dependency: "'x' has not run yet"."""
    return f"{reason.facts['dependency']!r} {_OF_DEPENDENCIES[str(reason.code)]}"


def _paused(facts: Mapping[str, Any], say: Callable[[datetime], str]) -> str:
    by = f" by {one_line(facts['by'])}" if facts["by"] else ""
    reason = f" ({one_line(facts['reason'])})" if facts["reason"] else ""
    return f" since {say(facts['since'])}{by}{reason}"


def _running(facts: Mapping[str, Any], say: Callable[[datetime], str]) -> str:
    process = f" ({one_line(facts['process'])})" if facts["process"] else ""
    return f" since {say(facts['since'])}{process}"
