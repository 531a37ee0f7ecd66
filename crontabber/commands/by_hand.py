"""Let applications written for the original decide, run and record one job: they call or override these methods."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from crontabber.engine.overrides import NO_OVERRIDES, Overrides, Settle
from crontabber.errors import CrontabberError
from crontabber.rules.configured_jobs import ConfiguredJobs
from crontabber.rules.dependencies import names_in, reorder_dag
from crontabber.rules.job import Job, path_of
from crontabber.rules.job_state import JobState, Outcome
from crontabber.rules.schedule import is_due, parse_schedule, parse_time
from crontabber.rules.tick import Tick
from crontabber.rules.verdict import dependencies, unmet
from crontabber.rules.words import about_dependency

ExceptionType = type[BaseException] | None


class ByHand:
    """A base of CronTabberBase. A tick uses only those of its decisions, and `_log_run`, that a subclass overrides.

    In all of them `class_` is a configured job class, `time_` is HH:MM or None.
    """

    # The application, which this is a part of, has these.
    config: Any
    configured_jobs: Callable[[], ConfiguredJobs]
    current_time: Callable[[], datetime]
    job_states: Any
    states_to_read: Callable[[], Mapping[str, JobState]]

    # The runner of the current tick; how to store the outcome that it waits for; claims of jobs run by hand.
    _runner: Any = None
    _settle: Settle | None = None
    _claims: Any = None
    _warned_of_uncalled = False

    # -- decisions

    def time_to_run(self, class_: Any, time_: str | None) -> bool:
        """True if the job is due, judged by its state and its time of day."""
        states, app_name = self.job_states, class_.app_name
        state = states.state(app_name) or getattr(states, "unseen", {}).get(app_name) or JobState(app_name)
        job = next((job for job in self.configured_jobs().jobs if job.job_class is class_), None)
        schedule = job.schedule if job and job.schedule.cron else parse_schedule("1d", time_)
        return is_due(schedule, state, self.current_time(), (job and job.zone) or states.zone)

    def check_dependencies(self, class_: Any) -> tuple[bool, str | None]:
        """Return (True, None) if the dependencies of the job allow a run, otherwise (False, reason)."""
        depends_on = names_in(getattr(class_, "depends_on", None))
        tick = Tick(self.current_time(), self.job_states.states(), configured=self.configured_jobs().policies())
        if self._runner:
            tick.succeeded = self._runner.tick.succeeded
        reason = next(unmet(dependencies(depends_on, tick, tick.started)), None)
        return (True, None) if reason is None else (False, about_dependency(reason))

    def _reorder_class_list(self, class_list: Sequence[tuple[str, Any]]) -> list[tuple[str, Any]]:
        """Return `class_list`, pairs of name and class, in the order in which they may run."""
        return reorder_dag(
            class_list,
            depends_getter=lambda pair: getattr(pair[1], "depends_on", None),
            name_getter=lambda pair: pair[1].app_name,
        )

    # -- runs

    def _run_one(self, job_class: Any, config: Any, force: bool = False) -> None:
        """Run a job with these options if it is due and nothing holds it back, or with `force` anyway."""
        configured = self.configured_jobs()
        job = configured.find(path_of(job_class))._replace(config=config)
        if self._runner:
            self._runner.attend(job, force)
        else:
            from crontabber.commands.tick import run_tick

            run_tick(self, [job], configured.jobs, force, NO_OVERRIDES)

    def _run_job(self, class_: Any, config: Any, info: Mapping[str, Any] | None) -> Iterator[datetime]:
        """Mark the job as ongoing and run it. Yield its successes; store nothing of them."""
        self._set_ongoing_job(class_)
        yield from class_(config, info).main()

    def _set_ongoing_job(self, class_: Any) -> None:
        """Claim the job until `_log_run`. OngoingJobError or RowLevelLockError if another process runs it."""
        state = self.job_states.state(class_.app_name)
        claims = self._claims = self._claims or {}
        depends_on = names_in(getattr(class_, "depends_on", None))
        claims[class_.app_name] = self.job_states.claims.take(class_.app_name, depends_on, state, self.current_time())

    # -- records

    def _log_run(
        self, class_: Any, seconds: float, time_: str | None, last_success: datetime | None, now: datetime,
        exc_type: ExceptionType, exc_value: Any, exc_tb: Any,
    ) -> None:  # fmt: skip
        """Store the state of a job after a run that started at `now`; `seconds` is its frequency.

        Within a tick, this ends the claim and writes the row of crontabber_log. Otherwise it writes only the state:
        `_remember_success` and `_remember_failure` write the log.
        """
        failure = self._failure(exc_type, exc_value, exc_tb)
        if self._settle:
            self._settle(Outcome(now, self.current_time(), last_success, failure))
            return
        from crontabber.rules.after_run import Occasion, state_after

        job = self.configured_jobs().find(path_of(class_))
        job = job._replace(schedule=job.schedule._replace(at=parse_time(time_) if time_ else None))
        outcome = Outcome(now, now, last_success, failure)
        before = self.job_states.state(job.app_name)
        state = state_after(job, Occasion(before, now), outcome, self.job_states.zone)
        claim = self._claims and self._claims.pop(job.app_name, None)
        if claim:
            self.job_states.claims.settle(claim, state, timedelta(0), state.last_success, failure, logged=True)
        else:
            self.job_states.store(state)

    def _remember_success(self, class_: Any, success_date: datetime, duration_seconds: float) -> None:
        """Add a row for a success to crontabber_log."""
        self.job_states.log_run(class_.app_name, timedelta(seconds=duration_seconds), success_date)

    def _remember_failure(
        self, class_: Any, duration_seconds: float, exc_type: ExceptionType, exc_value: Any, exc_tb: Any
    ) -> None:
        """Add a row for a failure to crontabber_log."""
        failure = self._failure(exc_type, exc_value, exc_tb)
        self.job_states.log_run(class_.app_name, timedelta(seconds=duration_seconds), None, failure)

    def _failure(self, exc_type: ExceptionType, exc_value: Any, exc_tb: Any) -> Any:
        if exc_type is None:
            return None
        from crontabber.engine.failure import failure_of
        from crontabber.output.secrets import SecretMask

        error = exc_value if isinstance(exc_value, BaseException) else exc_type(exc_value)
        return failure_of(error.with_traceback(exc_tb), SecretMask(self.config))

    # -- questions

    def _get_ghosts(self) -> list[str]:
        """Return the app_names that the state has and the configuration does not, sorted."""
        return self.configured_jobs().ghosts(self.states_to_read())

    def _configtest_one(self, config: Any) -> bool:
        """True if the frequency and the time in the options of a job are valid. A fault is logged."""
        try:
            parse_schedule(config.frequency, config.time)
        except CrontabberError:
            self.config.logger.critical("Failed to config test a job", exc_info=True)
            return False
        return True

    @cached_property
    def database_connection_factory(self) -> Any:
        options = self.config.crontabber
        return options.database_class(options)

    @cached_property
    def transaction_executor(self) -> Any:
        options = self.config.crontabber
        return options.transaction_executor_class(options, self.database_connection_factory)


# What a subclass may override -> which decision of a tick that is.
_OVERRIDABLE = {
    "_reorder_class_list": "order",
    "time_to_run": "is_due",
    "check_dependencies": "why_blocked",
    "_run_one": "run_one",
    "_log_run": "record",
}
_UNCALLED = ("_run_job", "_set_ongoing_job", "_remember_success", "_remember_failure")
# Where CronTabberBase has its methods from.
_OURS = ("crontabber.app", __name__)


def overrides_of(app: Any) -> Overrides:
    """Return what `app` overrides, in its class or on the object itself."""
    own = overridden(app, *_OVERRIDABLE)
    return Overrides(**{_OVERRIDABLE[name]: getattr(_Adapters(app), _OVERRIDABLE[name]) for name in own})


def overridden(app: Any, *names: str) -> list[str]:
    """Return those of the methods that `app` has of its own, in its class or on the object itself."""
    return [name for name in names if getattr(getattr(app, name), "__module__", None) not in _OURS]


def warn_about_uncalled(app: Any) -> None:
    """Warn once of methods that a tick cannot call, because its claims do their work. One's own `_run_one` may."""
    uncalled = overridden(app, *_UNCALLED)
    if uncalled and not app._warned_of_uncalled and not overridden(app, "_run_one"):
        app._warned_of_uncalled = True
        app.config.logger.warning(
            "%s overrides %s, which no tick calls: override _log_run, which is called after each run, or _run_one",
            type(app).__name__, ", ".join(uncalled),
        )  # fmt: skip


class _Adapters:
    """Calls the methods of an application with what the engine has."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def order(self, jobs: Sequence[Job]) -> list[Job]:
        by_class = {job.job_class: job for job in jobs}
        pairs = [(job.job_class.__name__, job.job_class) for job in jobs]
        return [by_class[job_class] for _, job_class in self._app._reorder_class_list(pairs)]

    def is_due(self, job: Job) -> bool:
        return bool(self._app.time_to_run(job.job_class, job.config.time or None))

    def why_blocked(self, job: Job) -> str | None:
        allowed, reason = self._app.check_dependencies(job.job_class)
        return None if allowed else str(reason)

    def run_one(self, job: Job, force: bool) -> None:
        self._app._run_one(job.job_class, job.config, force)

    def record(self, job: Job, outcome: Outcome, error: BaseException | None, settle: Settle) -> None:
        app = self._app
        app._settle = settle
        try:
            seconds = job.schedule.every.total_seconds()
            exc_info = (type(error), error, error.__traceback__) if error is not None else (None, None, None)
            time_ = job.config.time or None
            app._log_run(job.job_class, seconds, time_, outcome.last_success, outcome.started, *exc_info)
        finally:
            app._settle = None
