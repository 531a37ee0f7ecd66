"""Run one job class once, without a server: what it returned, raised and logged."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date as Date
from datetime import datetime, timedelta
from typing import Any

from configman.converters import class_converter

from crontabber import base
from crontabber.config.jobs_setting import classes_in_namespaces_converter_with_compression, jobs_of
from crontabber.connection_factory import ConnectionFactory
from crontabber.datetimeutil import UTC
from crontabber.engine.job_run import JobRun
from crontabber.engine.run_settings import RunSettings
from crontabber.mixins import resources_of
from crontabber.rules.after_run import Occasion
from crontabber.rules.job import Job
from crontabber.rules.job_state import Failure, JobState
from crontabber.store.claims import Claim
from crontabber.store.rows import as_mapping, state_from_mapping
from crontabber.testing.settings import Log, aware, clock_at, dotted, manager_of


class JobResult:
    """How the run of a job ended.

    `error` is what the job raised, None if it succeeded; `dates` are the dates that a backfill job has done; `log` has
    a line such as `INFO 3 rows` for each message, `records` has the LogRecords; `job_information` is what the next run
    would get.
    """

    def __init__(
        self, job_class: type, returned: Any, error: BaseException | None, dates: list[datetime], log: Log,
        job_information: dict[str, Any],
    ) -> None:  # fmt: skip
        self._job_class = job_class
        self._returned = returned
        self.error = error
        self.dates = dates
        self.log = log.lines
        self.records = log.records
        self.job_information = job_information

    @property
    def returned(self) -> Any:
        """What `run` returned (for the last date, if there are several). If the job failed, raise its error."""
        self.check()
        return self._returned

    def check(self) -> "JobResult":
        """Raise the error of the job if it failed. Return the result itself."""
        if self.error is not None:
            raise self.error
        return self

    def __repr__(self) -> str:
        ended = f"returned {self._returned!r}" if self.error is None else f"raised {self.error!r}"
        return f"<JobResult: {self._job_class.__name__} {ended}>"


def run_job(
    job_class: type, /, *, date: Date | str | None = None, connection: Any = None,
    job_information: Mapping[str, Any] | None = None, now: Date | str | None = None,
    options: Mapping[str, Any] | None = None, **more_options: Any,
) -> JobResult:  # fmt: skip
    """Run a job class once. Whatever the job raises is in the result, except for KeyboardInterrupt, which is raised.

    `date` is the one date that a backfill job runs for; without it, the job runs for what is outstanding by
    `job_information` at `now`. Times are in UTC unless they say otherwise. `connection` is handed to the job in place
    of a connection of its own, and stays open; a mapping has one for each of several resources. Keywords are options of
    the job, `frequency` and `time` among them; those whose names are taken go into `options`.
    """
    log, store = Log(), _NoStore()
    observed = _Observed(job_class, aware(date))
    with clock_at(now), _configured(job_class, log, {**(options or {}), **more_options}, connection) as job:
        if date is not None and not job.is_backfill:
            raise TypeError(f"{job_class.__name__} is not a backfill job: it does not take a date")
        state, error = _run(job._replace(job_class=observed), store, job_information)  # type: ignore[arg-type]
    if isinstance(error, KeyboardInterrupt):
        raise error
    return JobResult(job_class, observed.returned, error, store.dates, log, as_mapping(state))


class _Observed:
    """Stands in for a job class: its instances note what `run` returns, and run only for `date` if there is one."""

    def __init__(self, job_class: Any, date: datetime | None) -> None:
        self._job_class = job_class
        self._is_backfill_app = getattr(job_class, "_is_backfill_app", False)
        self._date = date
        self.returned: Any = None

    def __call__(self, config: Any, job_information: Mapping[str, Any] | None) -> Any:
        job = self._job_class(config, job_information)
        run = job._run_proxy

        def run_and_note(*args: Any, **kwargs: Any) -> Any:
            self.returned = run(*args, **kwargs)
            return self.returned

        job._run_proxy = run_and_note
        if self._date is not None:
            job._dates = lambda now: iter([self._date])
        return job


class _NoStore:
    """Stands in for the state database (see docs/developer/state-classes.rst): for one run, and it keeps nothing."""

    zone = UTC

    def __init__(self) -> None:
        self.claims = self
        self.dates: list[datetime] = []

    def settle_date(self, claim: Claim, date: datetime, duration: timedelta) -> None:
        self.dates.append(date)

    def settle(
        self, claim: Claim, state: JobState, duration: timedelta, success: datetime | None,
        failure: Failure | None, logged: bool = False,
    ) -> None:  # fmt: skip
        """Keep nothing."""

    def is_own_database(self, connection: Any) -> bool:
        return False


def _run(
    job: Job, store: _NoStore, job_information: Mapping[str, Any] | None
) -> tuple[JobState, BaseException | None]:
    """Run the job as a tick would. Return its next state, and what it raised."""
    errors: list[BaseException] = []
    settings = RunSettings(
        # The engine's own lines are not the job's.
        logger=Log(shown=False).logger,
        clock=lambda: base.utc_now(),
        report_error=lambda error, app_name: errors.append(error),
    )
    before = None if job_information is None else state_from_mapping(job.app_name, job_information)
    claim = Claim(job.app_name, "", base.utc_now(), before or JobState(job.app_name))
    state = JobRun(store, settings, job, claim, Occasion(before, claim.since)).complete()
    return state, errors[0] if errors else None


@contextmanager
def _configured(job_class: Any, log: Log, options: Mapping[str, Any], connection: Any) -> Iterator[Job]:
    """Yield the job that crontabber would make of its setting, with these options."""
    convert = classes_in_namespaces_converter_with_compression(
        list_splitter_fn=lambda entry: [entry], class_extractor=lambda entry: job_class
    )
    job_list: Any = convert(f"{job_class.__name__}|1d")
    (namespace,) = job_list.subordinate_namespace_names
    prefix = f"crontabber.{namespace}."
    sources = [
        dotted(options, prefix),
        {prefix + name: value for name, value in _sources_of(job_class, connection).items()},
    ]
    with manager_of(job_list, log.wrapped, *sources, strict=True).context() as config:
        (job,) = jobs_of(config.crontabber.jobs, config.crontabber)
        yield job


def _sources_of(job_class: Any, connection: Any) -> dict[str, type]:
    """Return for each resource of the job the option that makes it use `connection`. TypeError if there is none."""
    if connection is None:
        return {}
    resources = resources_of(job_class)
    given = connection if isinstance(connection, Mapping) else dict.fromkeys(resources, connection)
    if not resources:
        raise TypeError(f"{job_class.__name__} does not take a connection: decorate it with using_postgres()")
    if unknown := sorted(given.keys() - resources):
        raise TypeError(f"{job_class.__name__} has no resource {unknown[0]!r}; it has {', '.join(sorted(resources))}")
    return {f"{name}.{name}_class": _source_of(resources[name], given[name]) for name in given}


def _source_of(resource_class: Any, connection: Any) -> type:
    """Return a connection source that hands out this connection, has the real one's options, and closes nothing."""
    asks_for = getattr(class_converter(resource_class), "get_required_config", None)

    class GivenConnection(ConnectionFactory):
        def connection(self, name: str | None = None) -> Any:
            return connection

        def close_connection(self, connection: Any, force: bool = False) -> None:
            """Leave that to the test."""

    if asks_for is not None:
        GivenConnection.required_config = asks_for()
    return GivenConnection
