"""Run a job once more without a trace in its schedule: what a rerun stores is rows of the log."""

from datetime import datetime
from typing import Any

from crontabber.engine.run_log import log_failed_rerun
from crontabber.engine.run_record import RunRecord
from crontabber.process.forking import end_if_forked
from crontabber.rules.job_state import JobState, Outcome


class RerunRecord(RunRecord):
    """The record of a rerun. `done` are the dates that succeeded; `outcome` is how the run ended, None so far."""

    done: list[datetime]
    outcome: Outcome | None = None

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.done = []
        self._is_logged = False

    def before_commit(self, connection: Any, *args: Any) -> None:
        """Log the success inside the job's own transaction if that is on the state's own database."""
        end_if_forked(self._pid)
        if self._store.claims.is_own_database(connection):
            date = args[-1] if self._job.is_backfill else None
            success = date or self._claim.since
            duration = self._settings.clock() - self._date_started
            self._is_logged = self._store.claims.log_rerun(self._claim, duration, success, date, connection)

    def stored_all_the_same(self) -> datetime | None:
        self._is_logged = False
        return None

    def store_date(self, date: datetime | None) -> None:
        now = self._settings.clock()
        if self._job.is_backfill and date is not None:
            if not self._is_logged:
                self._store.claims.log_rerun(self._claim, now - self._date_started, date, date)
            self.done.append(date)
            self._is_logged = False
        self._date_started = now

    def settle(
        self, outcome: Outcome, error: BaseException | None, date: datetime | None
    ) -> tuple[Outcome, JobState]:  # fmt: skip
        self.outcome = outcome
        claims, state = self._store.claims, self._claim.state
        if outcome.failure:
            claims.log_rerun(self._claim, outcome.finished - self._date_started, None, date, failure=outcome.failure)
        elif not self._job.is_backfill and not self._is_logged:
            claims.log_rerun(self._claim, outcome.finished - outcome.started, self._claim.since, None)
        # A job that has never run remains one: its row, which is only this claim, goes.
        if self._job.is_backfill or not (state.next_run or state.last_run or state.last_success):
            claims.release(self._claim)
        else:
            claims.end_rerun(self._claim)
            state = state._replace(last_run=self._claim.since)
        return outcome, state

    def log(self, outcome: Outcome, state: JobState) -> None:
        seconds = (outcome.finished - outcome.started).total_seconds()
        name, logger = self._job.app_name, self._settings.logger
        if outcome.failure:
            log_failed_rerun(logger, name, seconds, outcome.failure)
        elif self._job.is_backfill:
            logger.info("%s ran again for %d %s in %.1f s", name, len(self.done), _dates(len(self.done)), seconds)
        else:
            logger.info("%s ran again in %.1f s", name, seconds)


def _dates(number: int) -> str:
    return "date" if number == 1 else "dates"
