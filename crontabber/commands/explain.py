"""--explain: everything about one job. What holds it back, what happens next, and which policy is in force."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, tzinfo
from typing import Any, NamedTuple

from crontabber.commands import Application
from crontabber.commands.job_facts import answer_json, facts_of, reason_facts, wants_errors, wants_json
from crontabber.commands.overview import Overview, overview
from crontabber.config.policy_options import policy_sources
from crontabber.datetimeutil import brief
from crontabber.errors import ExitCode
from crontabber.output.secrets import MASK
from crontabber.output.table import render_table
from crontabber.process.streams import answer
from crontabber.rules.cron import in_words
from crontabber.rules.health import error_name, outstanding, short_time, skipped
from crontabber.rules.job import Job, path_of
from crontabber.rules.plan import Step
from crontabber.rules.text import one_line, printable
from crontabber.rules.upcoming import upcoming
from crontabber.rules.verdict import NOT_YET, Condition, conditions
from crontabber.rules.words import because


class Explained(NamedTuple):
    """A job as it is now, and the step that the next tick takes with it; `before_it` has the dependencies that the same
    tick runs first."""

    seen: Overview
    job: Job
    step: Step
    before_it: list[str]
    conditions: list[Condition]
    policy: list[tuple[str, Any, str]]

    def say(self, moment: datetime | None) -> str:
        return short_time(moment, self.zone)

    @property
    def has_given_up(self) -> bool:
        return any(condition.code == "gave_up" for condition in self.conditions)

    @property
    def zone(self) -> tzinfo:
        return self.job.zone or self.seen.zone


def command(app: Application) -> int:
    explained = explain(app, app.config["explain"])
    if wants_json(app):
        answer_json(app, {"job": _facts(explained, wants_errors(app))})
    else:
        answer("".join(f"{printable(line)}\n" for line in render_explained(explained)))
    return ExitCode.DONE


def explain(app: Application, description: str) -> Explained:
    """Return all about the job with this app_name or module.Class."""
    seen = overview(app)
    job = seen.configured.find(description)
    steps = {step.job.app_name: step for step in seen.steps()}
    before_it = [name for name in job.depends_on if name in steps and steps[name].runs]
    # As things are now: the plan expects that the jobs before this one succeed.
    now = list(conditions(job, seen.prepared([job]), seen.now, seen.zone, seen.overrides.judges))
    return Explained(seen, job, steps[job.app_name], before_it, now, _policy(app, job, seen.zone))


def render_explained(explained: Explained) -> Iterator[str]:
    job, seen = explained.job, explained.seen
    health = seen.health(explained.step)
    yield f"{job.app_name} ({path_of(job.job_class)}, {_schedule(job)}): {health.state}"
    yield ""
    yield f"Conditions (times in {explained.zone})"
    for condition in explained.conditions:
        if not (explained.has_given_up and condition.code == "waiting_for_retry"):
            yield f"  {'✗' if condition.code else '✓'} {_condition(explained, condition)}"
    yield ""
    yield "What happens next"
    yield f"  {_next(explained)}"
    yield from _slots(explained)
    yield ""
    yield "Policy"
    yield from (f"  {line}" for line in render_table([(n, _value(v), f"({s})") for n, v, s in explained.policy]))
    yield from _last_run(explained)


def _schedule(job: Job) -> str:
    if job.schedule.cron:
        text = f"{job.config.frequency}: {in_words(job.schedule.cron)}"
    else:
        text = f"every {job.config.frequency}" + (f" @ {job.config.time}" if job.config.time else "")
    return f"{text} in {job.zone}" if job.zone else text


def _condition(explained: Explained, condition: Condition) -> str:
    facts, say = condition.facts, explained.say
    if condition.about == "dependency":
        return _dependency(explained, condition)
    if condition.code == "ongoing":
        lock = "holds its lock" if facts["holds_lock"] else "does not hold its lock now"
        return f"{because(condition, say)}, which {lock}"
    if condition.code:
        return because(condition, say)
    if condition.about == "due":
        since = facts["next_run"]
        return f"it is due since {say(since)}" if since else "it is due: it has never run"
    return {
        "ongoing": "no other process runs it",
        "entry": "no entry of jobs that it depends on is broken",
        "paused": "it is not paused",
        "gave_up": f"it has not given up (failures in a row: {facts.get('error_count')})",
        "application": "the application lets it run",
    }[condition.about]


def _dependency(explained: Explained, condition: Condition) -> str:
    facts, say = condition.facts, explained.say
    text = because(condition, say) if condition.code else f"its dependency {facts['dependency']!r} is fine"
    details = [f"last success {say(facts['last_success'])}"] if facts["last_success"] else []
    if facts["error_count"]:
        details.append(f"failures in a row: {facts['error_count']}")
    if facts["next_run"] and condition.code != "dependency_gave_up":
        details.append(f"next run {say(facts['next_run'])}")
    return f"{text} ({', '.join(details)})" if details else text


def _next(explained: Explained) -> str:
    step, say = explained.step, explained.say
    codes = {reason.code: reason for reason in step.reasons}
    if step.died:
        again = ", and runs it again" if step.runs else ""
        return f"The process that ran it died: the next tick records that{again}."
    if step.runs:
        after = f", after {', '.join(explained.before_it)}" if explained.before_it else ""
        return f"The next tick runs it{after}."
    if "ongoing" in codes:
        return "It is running now. When it has ended, its next run is planned."
    if "gave_up" in codes:
        reasons = [because(reason, say) for reason in step.reasons if reason.code not in NOT_YET]
        return f"It does not run: {'; '.join(reasons)}."
    waits = codes.get("not_due") or codes.get("waiting_for_retry")
    others = [because(reason, say) for reason in step.reasons if reason is not waits]
    if not waits:
        return f"The next tick does not run it: {'; '.join(others)}."
    due = step.next_run
    when = f"It is due at {say(due)}, in {brief(due - explained.seen.now)}. " if due else ""
    if others:
        return f"{when}As things are, it would not run then: {'; '.join(others)}."
    return f"{when}The first tick after that runs it."


def _slots(explained: Explained) -> Iterator[str]:
    job, row, now, zone = explained.job, explained.step.row, explained.seen.now, explained.seen.zone
    yield ""
    yield "Next dates" if job.is_backfill else "Next runs, if they succeed"
    for moment in [] if explained.has_given_up else upcoming(job, row, now, zone):
        yield f"  {explained.say(moment)}" + (" (due)" if moment <= now else "")
    if explained.has_given_up:
        yield f"  none until --resume={job.app_name}"
    if job.is_backfill:
        dates = outstanding(explained.step, now, zone)
        yield ""
        yield f"Outstanding dates: {dates.number if dates else 'none'}"
        if dates:
            yield f"  from {explained.say(dates.first)} to {explained.say(dates.last)}"
        if too_old := skipped(explained.step, now, zone):
            yield f"  skipped, by catchup={job.policy.catchup}: those up to {explained.say(too_old[1])}"


def _last_run(explained: Explained) -> Iterator[str]:
    row = explained.step.row
    if row.last_run:
        yield ""
        yield f"Last run: {explained.say(row.last_run)}; last success: {explained.say(row.last_success)}"
    if row.last_error:
        name, value = error_name(row.last_error.get("type")), one_line(str(row.last_error.get("value")))
        yield f"Last error: {name}: {value}"


def _policy(app: Any, job: Job, zone: tzinfo) -> list[tuple[str, Any, str]]:
    setting = app.config.crontabber.jobs
    names = (job_class for _, job_class in setting.class_list)
    section = dict(zip(names, setting.subordinate_namespace_names, strict=True)).get(job.job_class, "")
    sources = policy_sources(app.config.crontabber, job.config, job.job_class, section)
    if job.zone != job.policy.timezone:
        sources["timezone"] = "crontabber.jobs"
    values = job.policy._asdict()
    values |= {"catchup": job.policy.catchup or "all", "timezone": str(job.zone or zone)}
    values |= {"ping_url": job.policy.ping_url and MASK}
    return [(name, value, sources[name]) for name, value in values.items()]


def _value(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or "none"
    return brief(value) if isinstance(value, timedelta) else f"{value:g}"


def _facts(explained: Explained, with_errors: bool) -> Mapping[str, Any]:
    seen, step = explained.seen, explained.step
    dates = outstanding(step, seen.now, seen.zone)
    return {
        **facts_of(step, seen, seen.durations(), with_errors),
        "runs_at_next_tick": step.runs,
        "conditions": [
            {"about": each.about, "is_met": each.code is None, **reason_facts(each)} for each in explained.conditions
        ],
        "upcoming": upcoming(step.job, step.row, seen.now, seen.zone),
        "outstanding": dates and dates._asdict(),
        "policy": {name: {"value": value, "source": source} for name, value, source in explained.policy},
    }
