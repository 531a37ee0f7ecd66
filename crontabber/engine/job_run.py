"""Run one job under its claim: compute the outcome, then store it."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import datetime
from typing import Any

from crontabber.engine.failure import as_log_text, failure_of, is_success
from crontabber.engine.run_log import log_run
from crontabber.engine.run_settings import RunSettings
from crontabber.errors import (
    CommitLostError,
    GiveUp,
    Interrupted,
    JobTimeout,
    LostClaimError,
    RetryLater,
    StateDatabaseError,
)
from crontabber.process.forking import child_ends_here, end_if_forked
from crontabber.process.isolation import process_state_restored
from crontabber.process.signals import INTERRUPTION
from crontabber.process.streams import descriptors_kept
from crontabber.rules.after_run import Occasion, moment_of, state_after
from crontabber.rules.backfill import calendar_date, count_backfill_dates
from crontabber.rules.job import Job
from crontabber.rules.job_state import Failure, JobState, Outcome
from crontabber.store.claims import Claim
from crontabber.store.rows import as_mapping


class JobRun:
    """One run of one job."""

    def __init__(self, store: Any, settings: RunSettings, job: Job, claim: Claim, occasion: Occasion) -> None:
        self._store = store
        self._settings = settings
        self._logger = settings.logger
        self._job = job
        self._claim = claim
        self._occasion = occasion
        self._pid = os.getpid()
        self._last_success: datetime | None = None
        self._error: BaseException | None = None
        self._failure: Failure | None = None
        self._interrupted = False
        self._running: Any = None
        # When the current date started.
        self._date_started = claim.since
        # What the job's own transaction has stored: a date, or the whole new state.
        self._stored_date: datetime | None = None
        self._stored_state: JobState | None = None

    def complete(self) -> JobState:
        """Execute and settle. Return the new state. LostClaimError if another process has taken over the job."""
        with process_state_restored(self._settings.app_logger, self._logger):
            outcome = self._execute()
        try:
            outcome, state = self._settle(outcome)
        except (StateDatabaseError, Interrupted):
            result = as_log_text(outcome.failure) if outcome.failure else "success"
            self._logger.error("%s: could not store its result, which was: %s", self._job.app_name, result)
            raise
        finally:
            # Report after storing: a slow Sentry must not hold the claim.
            if self._error is not None:
                self._settings.report_error(self._error, self._job.app_name)
            # Its traceback refers to us, and to whatever the job had in memory.
            self._error = None
        log_run(self._logger, self._job, self._occasion.before, outcome, state, self._store.zone)
        return state

    def _execute(self) -> Outcome:
        """Run the job to its end. Store each date of a backfill as it succeeds."""
        successes = self._successes()
        progress = self._settings.progress(self._job.app_name, self._number_of_dates())
        with self._reported(), progress as advance, self._released():
            while self._reaches_success(successes):
                self._settle_date()
                if self._last_success is not None:
                    advance(self._last_success)
                if INTERRUPTION.signum and not self._job.is_backfill:
                    break  # A signal asked it to end, and it ended with a success.
        now = self._settings.clock()
        outcome = Outcome(self._claim.since, now, self._last_success, self._failure, self._interrupted)
        if isinstance(self._error, RetryLater):
            return outcome._replace(delay=self._error.delay)
        return outcome._replace(gave_up=isinstance(self._error, GiveUp))

    def _reported(self) -> AbstractContextManager[None]:
        """Tell the supervisor, if there is one, when the job starts and ends."""
        reporter, policy, facts = self._settings.reporter, self._job.policy, self._claim.facts()
        if reporter is None:
            return nullcontext()
        return reporter.running(facts, policy.timeout, policy.kill_timeout, self._has_timed_out)  # type: ignore[no-any-return]

    def _has_timed_out(self) -> bool:
        return isinstance(self._error, JobTimeout)

    @contextmanager
    def _released(self) -> Iterator[None]:
        """Have the job close its connections when it has ended, no matter how."""
        try:
            yield
        finally:
            if self._running is not None:
                with suppress(Exception):
                    self._running._release()

    def _number_of_dates(self) -> int:
        if not self._job.is_backfill:
            return 0
        row = self._occasion.row(self._job.app_name)
        return count_backfill_dates(self._job.schedule, row, self._claim.since, self._store.zone)

    def _successes(self) -> Iterator[datetime]:
        """Yield the job's successes. A generator, so that a constructor that raises is a failure of the job, too."""
        self._running = self._instance()
        yield from self._running.main()

    def _reaches_success(self, successes: Iterator[datetime]) -> bool:
        """Run the job up to its next success; False if it has ended. The only place that catches what jobs raise."""
        try:
            with child_ends_here(), descriptors_kept(), INTERRUPTION.allowed():
                self._last_success = moment_of(next(successes), self._store.zone)
        except StopIteration:
            return False
        except LostClaimError:
            raise
        # BaseException: jobs also raise asyncio's CancelledError and KeyboardInterrupt.
        except BaseException as error:
            if self._was_stored_all_the_same():
                self._last_success = self._stored_date
                return True
            if not is_success(error):
                self._failure = self._failed(error)
                # Whatever it raised: libraries turn an interruption into errors of their own.
                self._interrupted = INTERRUPTION.signum is not None
            elif not self._job.is_backfill:
                self._last_success = self._last_success or self._claim.since
            return False
        return True

    def _was_stored_all_the_same(self) -> bool:
        """True if the job's own transaction has stored a date although committing it raised: its answer was lost."""
        is_stored = getattr(self._store.claims, "is_stored", None)
        return bool(self._stored_date and is_stored and is_stored(self._claim, self._stored_date))

    def _instance(self) -> Any:
        before = self._occasion.before
        info = None if before is None else as_mapping(before)
        instance = self._job.job_class(self._job.config, info)
        instance._time_zone = self._store.zone
        instance._claimed_at = self._claim.since
        instance._claimed_row = self._claim.state
        instance._before_commit = self._store_in_transaction
        return instance

    def _failed(self, error: BaseException) -> Failure:
        if isinstance(error, KeyboardInterrupt):
            INTERRUPTION.note(error)
        self._error = error
        return failure_of(error, self._settings.mask)

    def _state_after(self, outcome: Outcome) -> JobState:
        return state_after(self._job, self._occasion, outcome, self._store.zone)

    def _settle_date(self) -> None:
        """Store the date that has just succeeded, unless the job's own transaction has done so."""
        now, date = self._settings.clock(), self._last_success
        if self._job.is_backfill and date is not None:
            if self._stored_date != date:
                self._store.claims.settle_date(self._claim, date, now - self._date_started, **self._note_of(date))
            elif committed := getattr(self._store.claims, "date_committed", None):
                committed(self._claim, date)
        self._stored_date, self._date_started = None, now

    def _store_in_transaction(self, connection: Any, *args: Any) -> None:
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

    def _note_of(self, date: datetime) -> dict[str, Any]:
        """Return what is stored with a calendar date, if the state can keep it."""
        if self._job.schedule.at is None or not hasattr(self._store, "plans"):
            return {}
        return {"last_date": calendar_date(self._job.schedule.at, date, self._store.zone)}

    def _settle_within(self, connection: Any, state: JobState | None, success: datetime, **note: Any) -> bool:
        duration = self._settings.clock() - self._date_started
        stored = self._store.claims.settle_within(connection, self._claim, state, duration, success, **note)
        return stored is not False  # Other state classes may return nothing.

    def _settle(self, outcome: Outcome) -> tuple[Outcome, JobState]:
        """Store how the run ended. Return what counts: a success that the job's own transaction has committed remains
        one, whatever happened later."""
        record = self._settings.overrides.record
        if record is None:
            return self._settle_claim(outcome)
        settled: list[tuple[Outcome, JobState]] = []

        def settle(theirs: Outcome) -> None:
            settled.append(self._settle_claim(theirs._replace(interrupted=outcome.interrupted)))

        record(self._job, outcome, self._error, settle)
        if settled:
            return settled[-1]
        # The application has stored the outcome in its own way.
        self._store.claims.release(self._claim)
        return outcome, self._store.state(self._job.app_name) or JobState(self._job.app_name)

    def _settle_claim(self, outcome: Outcome) -> tuple[Outcome, JobState]:
        try:
            return self._settle_once(outcome)
        except LostClaimError:
            # A commit of the job that was given up for lost may have arrived by now, and changed the row.
            if self._was_stored_all_the_same():
                self._store.claims.date_committed(self._claim, self._stored_date)
            elif self._state_committed_by_job() is None:
                raise
            return self._settle_once(outcome)

    def _settle_once(self, outcome: Outcome) -> tuple[Outcome, JobState]:
        already_committed = self._state_committed_by_job()
        if already_committed is not None:
            self._store.claims.give_up(self._claim)
            return outcome._replace(failure=None), already_committed
        if self._stored_state is not None and outcome.failure is None:
            outcome = outcome._replace(failure=self._failed(CommitLostError()), last_success=None)
        state = self._state_after(outcome)
        duration = outcome.finished - (self._date_started if self._job.is_backfill else outcome.started)
        logged = self._job.is_backfill and outcome.failure is None
        success = None if outcome.failure else state.last_success
        self._store.claims.settle(self._claim, state, duration, success, outcome.failure, logged, **self._slot())
        return outcome, state

    def _slot(self) -> dict[str, Any]:
        """Return the date that is stored with a failure, if the state can keep it."""
        date = getattr(self._running, "_date_of_run", None)
        return {"slot": date} if date is not None and hasattr(self._store, "plans") else {}

    def _state_committed_by_job(self) -> JobState | None:
        state = self._stored_state
        return state if state is not None and self._store.claims.was_settled(self._claim, state) else None
