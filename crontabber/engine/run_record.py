"""Store what a run has achieved: each date of a backfill as it succeeds, and at the end how the run ended."""

import os
from datetime import datetime
from typing import Any

from crontabber.engine.failure import failure_of
from crontabber.engine.run_log import log_run
from crontabber.engine.run_settings import RunSettings
from crontabber.errors import CommitLostError, LostClaimError
from crontabber.process.forking import end_if_forked
from crontabber.rules.after_run import Occasion, state_after
from crontabber.rules.backfill import calendar_date
from crontabber.rules.job import Job
from crontabber.rules.job_state import JobState, Outcome
from crontabber.store.claims import Claim


class RunRecord:
    """The record of one run under its claim. `error` is one that only storing the result has brought to light."""

    def __init__(self, store: Any, settings: RunSettings, job: Job, claim: Claim, occasion: Occasion) -> None:
        self._store = store
        self._settings = settings
        self._job = job
        self._claim = claim
        self._occasion = occasion
        self.error: BaseException | None = None
        self._pid = os.getpid()
        # When the current date started.
        self._date_started = claim.since
        # What the job's own transaction has stored: a date, or the whole new state.
        self._stored_date: datetime | None = None
        self._stored_state: JobState | None = None

    def before_commit(self, connection: Any, *args: Any) -> None:
        """Store the success inside the job's own transaction if that is on the state's own database: then the job's
        effects and its success are committed together or not at all."""
        end_if_forked(self._pid)
        if not self._store.claims.is_own_database(connection):
            return
        if self._job.is_backfill:
            date: datetime = args[-1]
            if self._settle_within(connection, None, date, **self._note_of(date)):
                self._stored_date = date
            return
        state = self._state_after(Outcome(self._claim.since, self._settings.clock(), self._claim.since))
        if self._settle_within(connection, state, state.last_success or self._claim.since):
            self._stored_state = state

    def stored_all_the_same(self) -> datetime | None:
        """Return the date that the job's own transaction has stored although committing it raised: its answer was
        lost. None if there is none."""
        is_stored = getattr(self._store.claims, "is_stored", None)
        date = self._stored_date
        return date if date and is_stored and is_stored(self._claim, date) else None

    def store_date(self, date: datetime | None) -> None:
        """Store the date that has just succeeded, unless the job's own transaction has done so."""
        now = self._settings.clock()
        if self._job.is_backfill and date is not None:
            if self._stored_date != date:
                self._store.claims.settle_date(self._claim, date, now - self._date_started, **self._note_of(date))
            elif committed := getattr(self._store.claims, "date_committed", None):
                committed(self._claim, date)
        self._stored_date, self._date_started = None, now

    def settle(
        self, outcome: Outcome, error: BaseException | None, date: datetime | None
    ) -> tuple[Outcome, JobState]:  # fmt: skip
        """Store how the run ended, with the date that it ended at. Return what counts: a success that the job's own
        transaction has committed remains one, whatever happened later. LostClaimError if another process has taken
        over the job."""
        record = self._settings.overrides.record
        if record is None:
            return self._settle_claim(outcome, date)
        settled: list[tuple[Outcome, JobState]] = []

        def settle(theirs: Outcome) -> None:
            settled.append(self._settle_claim(theirs._replace(interrupted=outcome.interrupted), date))

        record(self._job, outcome, error, settle)
        if settled:
            return settled[-1]
        # The application has stored the outcome in its own way.
        self._store.claims.release(self._claim)
        return outcome, self._store.state(self._job.app_name) or JobState(self._job.app_name)

    def log(self, outcome: Outcome, state: JobState) -> None:
        """Log how the run ended, which left the job in this state, and tell those who watch the job."""
        self._settings.monitors.ended(self._job, self._claim.since, outcome, self._store.zone)
        zone = self._job.zone or self._store.zone
        log_run(self._settings.logger, self._job, self._occasion.before, outcome, state, zone)

    def _settle_claim(self, outcome: Outcome, date: datetime | None) -> tuple[Outcome, JobState]:
        try:
            return self._settle_once(outcome, date)
        except LostClaimError:
            # A commit of the job that was given up for lost may have arrived by now, and changed the row.
            if self.stored_all_the_same():
                self._store.claims.date_committed(self._claim, self._stored_date)
            elif self._state_committed_by_job() is None:
                raise
            return self._settle_once(outcome, date)

    def _settle_once(self, outcome: Outcome, date: datetime | None) -> tuple[Outcome, JobState]:
        already_committed = self._state_committed_by_job()
        if already_committed is not None:
            self._store.claims.give_up(self._claim)
            return outcome._replace(failure=None), already_committed
        if self._stored_state is not None and outcome.failure is None:
            self.error = CommitLostError()
            outcome = outcome._replace(failure=failure_of(self.error, self._settings.mask), last_success=None)
        state = self._state_after(outcome)
        duration = outcome.finished - (self._date_started if self._job.is_backfill else outcome.started)
        logged = self._job.is_backfill and outcome.failure is None
        success = None if outcome.failure else state.last_success
        slot = {"slot": date} if date is not None and hasattr(self._store, "plans") else {}
        self._store.claims.settle(self._claim, state, duration, success, outcome.failure, logged, **slot)
        return outcome, state

    def _state_after(self, outcome: Outcome) -> JobState:
        return state_after(self._job, self._occasion, outcome, self._store.zone)

    def _settle_within(self, connection: Any, state: JobState | None, success: datetime, **note: Any) -> bool:
        duration = self._settings.clock() - self._date_started
        stored = self._store.claims.settle_within(connection, self._claim, state, duration, success, **note)
        return stored is not False  # Other state classes may return nothing.

    def _note_of(self, date: datetime) -> dict[str, Any]:
        """Return what is stored with a calendar date, if the state can keep it."""
        if self._job.schedule.at is None or not hasattr(self._store, "plans"):
            return {}
        return {"last_date": calendar_date(self._job.schedule.at, date, self._job.zone or self._store.zone)}

    def _state_committed_by_job(self) -> JobState | None:
        state = self._stored_state
        return state if state is not None and self._store.claims.was_settled(self._claim, state) else None
