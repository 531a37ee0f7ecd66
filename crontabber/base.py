"""BaseCronApp, from which every job is derived."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, tzinfo
from typing import Any, ClassVar

from configman import Namespace, RequiredConfig

from crontabber.datetimeutil import UTC, utc_now
from crontabber.errors import CircularDAGError, FrequencyDefinitionError
from crontabber.rules.dependencies import reorder_dag, toposort, toposort_flatten
from crontabber.rules.job_state import JobState
from crontabber.rules.schedule import backfill_dates, convert_frequency, parse_schedule

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

    `config` has the job's own options and what it acquires (logger, database options); `job_information` is the
    state row as a mapping, None on the first run.
    """

    app_name: ClassVar[str] = ""
    depends_on: ClassVar[str | list[str] | tuple[str, ...] | None] = None
    required_config = Namespace()

    # The server's zone, and when the run was claimed; the runner sets both on the instance.
    _time_zone: tzinfo = UTC
    _claimed_at: datetime | None = None

    def __init__(self, config: Any, job_information: Mapping[str, Any] | None) -> None:
        self.config = config
        self.job_information = job_information

    def main(self, function: Callable[..., Any] | None = None, once: bool = True) -> Iterator[datetime]:
        """Run the job, and yield the time of each success as it happens: one, or with `once` false one a date."""
        function = function or self._run_proxy
        if once:
            now = utc_now()
            function()
            yield now
            return
        for date in self._dates(utc_now()):
            function(date)
            yield date

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """The work itself. What it returns is ignored; what it raises is recorded and tried again."""
        raise NotImplementedError(f"{type(self).__name__} has no run()")

    def _run_proxy(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return self.run(*args, **kwargs)
        except SystemExit as error:
            # sys.exit(0) says that the work is done: a transaction around it is committed.
            if error.code not in (0, None):
                raise
            return None

    def _before_commit(self, connection: Any, *args: Any) -> None:
        """Called inside a single-transaction job's transaction, when `run` has returned and nothing is committed."""

    def _dates(self, now: datetime) -> Iterator[datetime]:
        if self.job_information is None:
            # What is remembered as the first run is the claim: if the first date fails, it is tried again as itself.
            now = self._claimed_at or now
        schedule = parse_schedule(self.config.frequency, self.config.get("time"))
        return backfill_dates(schedule, self._state(), now, self._time_zone)

    def _state(self) -> JobState | None:
        if self.job_information is None:
            return None
        info = self.job_information
        return JobState(
            app_name=self.app_name,
            next_run=info.get("next_run"),
            first_run=info.get("first_run"),
            last_run=info.get("last_run"),
            last_success=info.get("last_success"),
            error_count=info.get("error_count") or 0,
            last_error=info.get("last_error") or {},
        )
