"""BaseCronApp, the base class of every job."""

from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import suppress
from datetime import datetime, tzinfo
from typing import Any, ClassVar

from configman import Namespace, RequiredConfig

from crontabber.datetimeutil import UTC, utc_now
from crontabber.errors import CircularDAGError, FrequencyDefinitionError
from crontabber.rules.backfill import backfill_dates
from crontabber.rules.dependencies import reorder_dag, toposort, toposort_flatten
from crontabber.rules.job_state import JobState
from crontabber.rules.schedule import convert_frequency, parse_schedule

__all__ = [
    "BaseCronApp",
    "CircularDAGError",
    "FrequencyDefinitionError",
    "convert_frequency",
    "reorder_dag",
    "toposort",
    "toposort_flatten",
    "utc_now",
]


class BaseCronApp(RequiredConfig):
    """A job: derive from it, set `app_name`, write `run`.

    `self.config` has the job's own options and those it acquires (`logger`, database options).
    `self.job_information` is its row in the table crontabber, as it was before the run, as a mapping with the columns
    as keys and aware datetimes; None on the first run.
    """

    #: The name of the job: in the tables, in `depends_on`, on the command line. No two jobs share one.
    app_name: ClassVar[str] = ""
    #: The `app_name` of each job that has to succeed before this one runs.
    depends_on: ClassVar[str | list[str] | tuple[str, ...] | None] = None
    #: The options of the job, a configman Namespace.
    #:
    #: :meta hide-value:
    required_config = Namespace()

    # What decorators pass to run, before the date of a backfill job.
    _run_arguments: ClassVar[tuple[str, ...]] = ()
    # The job's zone, the time of the claim, and the row as claimed. They are set before main() is called.
    _time_zone: tzinfo = UTC
    _claimed_at: datetime | None = None
    _claimed_row: JobState | None = None
    # Of a backfill job: the date that it runs for.
    _date_of_run: datetime | None = None

    def __init__(self, config: Any, job_information: Mapping[str, Any] | None) -> None:
        self.config = config
        self.job_information = job_information

    def main(self, function: Callable[..., Any] | None = None, once: bool = True) -> Iterator[datetime]:
        """Run the job and yield each success as it happens: the time at which the run started, or, if `once` is false,
        the date of each call. Times are aware: the former in UTC, the latter in the job's zone.

        `function` is called in place of `run`. What it raises is passed on.
        """
        function = function or self._run_proxy
        if once:
            now = utc_now()
            function()
            yield now
            return
        for date in self._dates(utc_now()):
            self._date_of_run = date
            function(date)
            yield date

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Do the work, also as a coroutine (`async def run`). The return value is ignored.

        The arguments are the connections that decorators pass, from the lowest decorator to the highest, and then the
        date of a backfill job. Whatever it raises is a failure: it is recorded, and the job is retried. So is
        `sys.exit` with a code other than 0 or None.
        """
        raise NotImplementedError(f"{type(self).__name__} has no run()")

    def _run_proxy(self, *args: Any, **kwargs: Any) -> Any:
        try:
            result = self.run(*args, **kwargs)
            return _awaited(result) if isinstance(result, Coroutine) else result
        except SystemExit as error:
            # sys.exit(0) means that the work is done: a transaction around it is committed.
            if error.code not in (0, None):
                raise
            return None

    def _release(self) -> None:
        """Close the connections of the resources that the decorators gave the job. Called when its run has ended."""
        for name, value in list(vars(self).items()):
            if name.endswith("_connection_factory"):
                with suppress(Exception):  # A class of the user's own need not have end_sessions().
                    value.end_sessions()

    def _before_commit(self, connection: Any, *args: Any) -> None:
        """Called inside the transaction of a single-transaction job, after `run` has returned and before the commit."""

    def _dates(self, now: datetime) -> Iterator[datetime]:
        if self.job_information is None:
            # The state keeps the time of the claim as first_run: if the first date fails, the same date is retried.
            now = self._claimed_at or now
        schedule = parse_schedule(self.config.frequency, self.config.get("time"))
        return backfill_dates(schedule, self._state(), now, self._time_zone)

    def _state(self) -> JobState:
        notes = self._claimed_row or JobState(self.app_name)
        info = self.job_information or {}
        return notes._replace(
            next_run=info.get("next_run"),
            first_run=info.get("first_run"),
            last_run=info.get("last_run"),
            last_success=info.get("last_success"),
            error_count=info.get("error_count") or 0,
            last_error=info.get("last_error") or {},
        )


def _awaited(coroutine: Coroutine[Any, Any, Any]) -> Any:
    from crontabber.process.coroutines import run_to_its_end  # asyncio takes 30 ms to import

    return run_to_its_end(coroutine)
