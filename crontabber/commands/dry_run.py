"""--dry-run: what would a tick do now? It is decided as in a tick, and nothing is run or changed."""

from collections.abc import Iterator, Sequence

from crontabber.commands import Application
from crontabber.commands.job_facts import answer_json, reason_facts, wants_json
from crontabber.commands.overview import Overview, overview
from crontabber.errors import ExitCode
from crontabber.process.streams import answer
from crontabber.rules.backfill import date_after
from crontabber.rules.health import outstanding, short_time, skipped
from crontabber.rules.job import path_of
from crontabber.rules.plan import Step
from crontabber.rules.text import printable
from crontabber.rules.words import because


def command(app: Application) -> int:
    """Print a line for each job that a tick would attend to, in its order. Return the exit code."""
    description = app.config.get("job")
    only = app.configured_jobs().find(description) if description else None
    seen = overview(app)
    force = bool(app.config.get("force"))
    steps = [] if only and only.is_backfill else seen.steps(only, force)
    if wants_json(app):
        answer_json(app, {"steps": [_facts(step, seen) for step in steps]})
    elif only and only.is_backfill:
        answer(f"{printable(only.app_name)} is a backfill job: --job does not run it\n")
    else:
        answer("".join(f"{printable(line)}\n" for line in render_steps(steps, seen)))
    return ExitCode.FAILED if seen.configured.faults and not only else ExitCode.DONE


def render_steps(steps: Sequence[Step], seen: Overview) -> Iterator[str]:
    """Yield what would happen to the jobs that are due, and when the next one is if none is."""
    lines = [line for step in steps for line in _lines(step, seen)]
    yield from lines
    if not lines:
        planned = [(step.next_run, step.job.app_name) for step in steps if step.next_run and not step.is_stopped]
        moment, name = min(planned, default=(None, ""))
        following = f" Next: {name} at {short_time(moment, seen.zone)} ({seen.zone})" if moment else ""
        yield f"Nothing would run: nothing is due.{following}"


def _lines(step: Step, seen: Overview) -> Iterator[str]:
    name = step.job.app_name
    if step.died:
        yield f"{name}: the process that ran it died; that would be recorded as a failure"
    if step.runs:
        yield f"{name} would run{_dates(step, seen)}"
    elif step.is_due:
        yield f"{name} would not run: {because(step.reasons[0], lambda moment: short_time(moment, seen.zone))}"


def _dates(step: Step, seen: Overview) -> str:
    dates = outstanding(step, seen.now, seen.zone)
    if dates is None:
        return " for no date: none is outstanding" if step.job.is_backfill else ""
    job, number, first, more = step.job, dates.number, dates.first, ""
    if too_old := skipped(step, seen.now, seen.zone):
        number, first = job.policy.catchup, date_after(job.schedule, too_old[1], job.zone or seen.zone)
        more = "; it would skip those from {} to {}".format(*(short_time(moment, seen.zone) for moment in too_old))
    begin, end = short_time(first, seen.zone), short_time(dates.last, seen.zone)
    return (f" for {begin}" if number == 1 else f" for {number} dates, {begin} to {end}") + more


def _facts(step: Step, seen: Overview) -> dict[str, object]:
    dates = outstanding(step, seen.now, seen.zone)
    return {
        "app_name": step.job.app_name,
        "class": path_of(step.job.job_class),
        "runs": step.runs,
        "owner_died": step.died,
        "reasons": [reason_facts(reason) for reason in step.reasons],
        "outstanding": dates and dates._asdict(),
    }
