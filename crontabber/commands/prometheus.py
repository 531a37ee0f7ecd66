"""--prometheus and crontabber.prometheus_file: a file for the node exporter of Prometheus."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from crontabber import __version__
from crontabber.commands import Application
from crontabber.commands.overview import Overview, overview
from crontabber.errors import ExitCode
from crontabber.output.atomic_file import write_report
from crontabber.output.messages import explained
from crontabber.output.prometheus import Gauge, render_metrics
from crontabber.rules.health import STATES, Health
from crontabber.rules.job_state import JobState

# The exporter runs as another user.
READABLE_BY_ALL = 0o644

Labels = Mapping[str, str]


class MeteredJob(NamedTuple):
    """What there is to tell of a job, or of a broken entry, which has neither a row nor a run."""

    health: Health
    row: JobState | None = None
    next_run: datetime | None = None
    last_duration: timedelta | None = None


def command(app: Application) -> int:
    write_metrics(app, app.config["prometheus"])
    return ExitCode.DONE


def write_metrics(app: Application, path: str) -> None:
    """Replace the file by the metrics as they are now. OutputError if it cannot be written."""
    write_report(path, render_metrics(gauges(overview(app))), READABLE_BY_ALL)


def write_metrics_after_tick(app: Application, path: str) -> None:
    """Do the same after a tick, which this must not make a failure."""
    try:
        write_metrics(app, path)
    except Exception as error:  # Also of an application's own check_dependencies.
        app.config.logger.warning("The metrics for Prometheus are not up to date: %s", explained(error))


def gauges(seen: Overview) -> Iterator[Gauge]:
    """Yield every metric: docs/user/prometheus.rst has them in a table."""
    jobs = _jobs(seen)
    for name, meaning, value in PER_JOB:
        samples = [({"job_name": app_name}, value(job)) for app_name, job in jobs.items()]
        yield Gauge(f"crontabber_job_{name}", meaning, [(labels, each) for labels, each in samples if each is not None])
    yield Gauge("crontabber_job_state", "1 for the state that the job is in, 0 for the others.", _states(jobs))
    last_tick = seen.history.last_tick() if seen.history else None
    if last_tick and last_tick.time:
        about = "When the last tick of any host started or ended."
        yield Gauge("crontabber_last_tick_timestamp_seconds", about, [({}, last_tick.time.timestamp())])
    yield Gauge("crontabber_build_info", "Always 1; the label has the version.", [({"version": __version__}, 1)])


def _jobs(seen: Overview) -> dict[str, MeteredJob]:
    """Return all jobs and broken entries. Of several entries with one app_name there is one: Prometheus would refuse
    the whole file."""
    durations = seen.durations()
    broken = sorted(entry.app_name or entry.path for entry in seen.configured.broken())
    return {name: MeteredJob(Health("broken")) for name in broken} | {
        step.job.app_name: MeteredJob(seen.health(step), step.row, step.next_run, durations.get(step.job.app_name))
        for step in seen.steps()
    }


def _states(jobs: Mapping[str, MeteredJob]) -> Iterable[tuple[Labels, float]]:
    for app_name, job in jobs.items():
        for state in STATES:
            yield {"job_name": app_name, "state": state.replace(" ", "_")}, job.health.state == state


def _time_of(name: str) -> Callable[[MeteredJob], float | None]:
    def value(job: MeteredJob) -> float | None:
        moment = getattr(job.row, name, None)
        return moment and moment.timestamp()  # type: ignore[no-any-return]

    return value


# Name, meaning, value; None for a job that has no such value.
PER_JOB: Sequence[tuple[str, str, Callable[[MeteredJob], Any]]] = (
    ("next_run_timestamp_seconds", "When the job is due.", lambda job: job.next_run and job.next_run.timestamp()),
    ("last_run_timestamp_seconds", "When its last run started.", _time_of("last_run")),
    (
        "last_success_timestamp_seconds",
        "When it last succeeded; of a backfill job, its last date that is done.",
        _time_of("last_success"),
    ),
    (
        "last_duration_seconds",
        "How long its last run took.",
        lambda job: job.last_duration and job.last_duration.total_seconds(),
    ),
    ("consecutive_errors", "How often it has failed in a row.", lambda job: job.row and job.row.error_count),
    ("outstanding_dates", "How many dates a backfill job has to run.", lambda job: job.health.outstanding_dates),
)
