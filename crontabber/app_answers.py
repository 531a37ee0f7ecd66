"""What can be asked about the jobs and their state: the part of CronTabberBase that picks no mode and runs nothing."""

import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, TextIO

from crontabber.commands.configtest import described, faults_of, listed, path_of, watched
from crontabber.config.jobs_setting import jobs_of
from crontabber.engine.failure import failure_of
from crontabber.engine.job_run import Job, Occasion, state_after
from crontabber.errors import CrontabberError, JobNotFoundError, StateDatabaseError
from crontabber.output.secrets import SecretMask
from crontabber.process.streams import answer, is_terminal, wants_colour
from crontabber.rules.dependencies import names_in, reorder_dag, why_blocked
from crontabber.rules.job_state import JobState, Outcome
from crontabber.rules.schedule import is_due, parse_schedule, parse_time


class Answers:
    """Base of CronTabberBase, which knows the time."""

    config: Any
    _job_state_database: Any = None

    def _now(self) -> datetime:
        raise NotImplementedError

    @property
    def job_state_database(self) -> Any:
        """Built on first use; the attribute `_job_state_database` set to None makes a new one."""
        if self._job_state_database is None:
            self._job_state_database = self.config.crontabber.job_state_db_class(self.config.crontabber)
        return self._job_state_database

    def list_jobs(self, stream: TextIO | None = None) -> None:
        from crontabber.commands.list_jobs import for_terminal, render_job_list

        jobs = self._jobs()
        if not jobs:
            self.config.logger.info("No jobs are configured.")
        text = render_job_list(listed(jobs), self._states_to_read(), self._now())
        if is_terminal(stream or sys.stdout):
            text = for_terminal(text, wants_colour())
        answer(text, stream)

    def nagios(self, stream: TextIO | None = None) -> int:
        """Print one line; the exit code that Nagios expects."""
        from crontabber.commands.nagios import critical, judge

        jobs = watched(self._jobs())
        try:
            verdict = judge(jobs, self._states_to_read())
        except StateDatabaseError as error:
            verdict = critical(str(error))
        answer(f"{verdict.line}\n", stream)
        return verdict.exit_code

    def audit_ghosts(self, stream: TextIO | None = None) -> None:
        from crontabber.commands.ghosts import render_ghosts

        configured = [job.app_name for job in self._jobs()]
        answer(render_ghosts(self._states_to_read(), configured), stream)

    def configtest(self) -> bool:
        """Is every job configured well? Each fault is logged."""
        faults = faults_of(self.config.crontabber)
        for fault in faults:
            try:
                raise fault
            except CrontabberError:
                self.config.logger.critical("Failed to config test a job", exc_info=True)
        return not faults

    def time_to_run(self, class_: Any, time_: str | None) -> bool:
        """Is this job due, by its state and the time of day that is configured for it?"""
        state = self.job_state_database.state(class_.app_name)
        return is_due(parse_schedule("1d", time_), state, self._now(), self.job_state_database.zone)

    def check_dependencies(self, class_: Any) -> tuple[bool, str | None]:
        """(may it run, if not: why)."""
        depends_on = names_in(getattr(class_, "depends_on", None))
        reason = why_blocked(depends_on, self.job_state_database.states(), (), self._now())
        return reason is None, reason

    def _reorder_class_list(self, class_list: Sequence[tuple[str, Any]]) -> list[tuple[str, Any]]:
        """`class_list`, pairs of a name and a class, in the order in which they may run."""
        return reorder_dag(
            class_list,
            depends_getter=lambda pair: getattr(pair[1], "depends_on", None),
            name_getter=lambda pair: pair[1].app_name,
        )

    def _log_run(
        self, class_: Any, seconds: float, time_: str | None, last_success: datetime | None, now: datetime,
        exc_type: type[BaseException] | None, exc_value: Any, exc_tb: Any,
    ) -> None:  # fmt: skip
        """Record a run of this job as if it had happened here, without a claim."""
        database = self.job_state_database
        before = database.state(class_.app_name)
        failure = None
        if exc_type is not None:
            error = exc_value if isinstance(exc_value, BaseException) else exc_type(exc_value)
            failure = failure_of(error.with_traceback(exc_tb), SecretMask(self.config))
        job = self._job_of(class_, time_)
        outcome = Outcome(now, now, last_success, failure)
        state = state_after(job, Occasion(before, now), outcome, database.zone, self._retry_after())
        database.store(state)
        database.log_run(class_.app_name, timedelta(seconds=seconds), None if failure else last_success, failure)

    def _jobs(self) -> list[Job]:
        return jobs_of(self.config.crontabber.jobs, self.config.crontabber)

    def _retry_after(self) -> timedelta:
        return timedelta(seconds=self.config.crontabber.error_retry_time)

    def _job_of(self, class_: Any, time_: str | None) -> Job:
        """The configured job of this class, at this time of day."""
        job = described(self._jobs(), path_of(class_))
        return job._replace(schedule=job.schedule._replace(at=parse_time(time_) if time_ else None))

    def _states_to_read(self) -> dict[str, JobState]:
        """For reports: nothing is made or changed, so that a role that may only read can ask."""
        database = self._job_state_database
        if database is None:
            options = self.config.crontabber
            database = getattr(options.job_state_db_class, "for_reading", options.job_state_db_class)(options)
        return database.states()  # type: ignore[no-any-return]

    def _app_name_of(self, description: str) -> str:
        jobs = self._jobs()
        try:
            return described(jobs, description).app_name
        except JobNotFoundError:
            if description in self.job_state_database:
                return description
            raise
