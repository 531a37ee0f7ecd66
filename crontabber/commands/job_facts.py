"""The facts about jobs that answers in JSON contain."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from crontabber.commands import Application
from crontabber.commands.overview import Overview, overview
from crontabber.output.json_text import as_document
from crontabber.process.streams import answer
from crontabber.rules.configured_jobs import ConfiguredJobs
from crontabber.rules.job import path_of
from crontabber.rules.plan import Step
from crontabber.rules.verdict import Condition

# Of a job, in this order; null where a value is absent.
KEYS = (
    "app_name", "class", "state", "reasons", "frequency", "time", "depends_on", "next_run", "first_run", "last_run",
    "last_success", "last_duration", "error_count", "outstanding_dates", "ongoing",
)  # fmt: skip


def wants_json(app: Application) -> bool:
    return app.config.get("format") == "json"


def wants_errors(app: Application) -> bool:
    return bool(app.config.get("with-errors"))


def answer_json(app: Application, facts: Mapping[str, Any], stream: Any = None) -> None:
    answer(as_document(app.app_version, app.current_time(), facts), stream)


def answer_jobs(app: Application, configured: ConfiguredJobs, stream: Any = None) -> None:
    """Print the facts about these jobs and broken entries."""
    by_name = {facts["app_name"]: facts for facts in facts_of_all(app, overview(app))}
    jobs = [by_name[job.app_name] for job in configured.jobs]
    answer_json(app, {"jobs": [*broken_facts(configured, wants_errors(app)), *jobs]}, stream)


def facts_of_all(app: Application, seen: Overview) -> list[dict[str, Any]]:
    """Return the facts about each job, in the order of a tick."""
    durations, with_errors = seen.durations(), wants_errors(app)
    return [facts_of(step, seen, durations, with_errors) for step in seen.steps()]


def facts_of(step: Step, seen: Overview, durations: Mapping[str, timedelta], with_errors: bool) -> dict[str, Any]:
    """Return the facts about a job. Texts of errors may contain what should not leave the machine."""
    job, row = step.job, step.row
    health = seen.health(step)
    facts = dict.fromkeys(KEYS) | {
        "app_name": job.app_name,
        "class": path_of(job.job_class),
        "state": health.state.replace(" ", "_"),
        "reasons": [reason_facts(reason) for reason in step.reasons],
        "frequency": job.config.frequency,
        "time": job.config.time or None,
        "depends_on": list(job.depends_on),
        "next_run": step.next_run,
        "first_run": row.first_run,
        "last_run": row.last_run,
        "last_success": row.last_success,
        "last_duration": durations.get(job.app_name),
        "error_count": row.error_count,
        "outstanding_dates": health.outstanding_dates,
        "ongoing": seen.tick.ongoing.get(job.app_name),
    }
    if with_errors:
        facts["last_error"] = row.last_error or None
    return facts


def broken_facts(configured: ConfiguredJobs, with_errors: bool) -> Iterable[dict[str, Any]]:
    """Yield the facts about each broken entry."""
    for entry in configured.broken():
        facts: dict[str, Any] = dict.fromkeys(KEYS) | {
            "app_name": entry.app_name,
            "class": entry.path,
            "state": "broken",
            "reasons": [{"code": "broken_entry"}],
            "depends_on": [],
        }
        if with_errors:
            facts["faults"] = faults_of(configured, entry)
        yield facts


def faults_of(configured: ConfiguredJobs, entry: Any) -> list[str]:
    return [fault.text for fault in configured.faults if entry in fault.entries]


def reason_facts(condition: Condition) -> dict[str, Any]:
    return {"code": condition.code, **condition.facts}
