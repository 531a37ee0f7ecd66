"""Run one job under its claim: compute the outcome, then have it stored."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import datetime
from typing import Any

from crontabber.engine.failure import as_log_text, failure_of, is_success
from crontabber.engine.run_record import RunRecord
from crontabber.engine.run_settings import RunSettings
from crontabber.errors import (
    GiveUp,
    Interrupted,
    JobTimeout,
    LostClaimError,
    RetryLater,
    StateDatabaseError,
)
from crontabber.process.forking import child_ends_here
from crontabber.process.isolation import process_state_restored
from crontabber.process.signals import INTERRUPTION
from crontabber.process.streams import descriptors_kept
from crontabber.rules.after_run import Occasion, moment_of
from crontabber.rules.backfill import count_backfill_dates
from crontabber.rules.job import Job
from crontabber.rules.job_state import Failure, JobState, Outcome
from crontabber.store.claims import Claim
from crontabber.store.rows import as_mapping


class JobRun:
    """One run of one job."""

    def __init__(
        self, store: Any, settings: RunSettings, job: Job, claim: Claim, occasion: Occasion,
        record: RunRecord | None = None, dates: Sequence[datetime] | None = None,
    ) -> None:  # fmt: skip
        """`record` stores the results, `dates` are those of a backfill job: without them, what a tick does."""
        self._store = store
        self._settings = settings
        self._logger = settings.logger
        self._job = job
        self._claim = claim
        self._occasion = occasion
        self._zone = job.zone or store.zone
        self._last_success: datetime | None = None
        self._error: BaseException | None = None
        self._failure: Failure | None = None
        self._interrupted = False
        self._running: Any = None
        self._record = record or RunRecord(store, settings, job, claim, occasion)
        self._dates = dates

    def complete(self) -> JobState:
        """Execute and settle. Return the new state. LostClaimError if another process has taken over the job."""
        with process_state_restored(self._settings.app_logger, self._logger):
            outcome = self._execute()
        try:
            outcome, state = self._record.settle(outcome, self._error, getattr(self._running, "_date_of_run", None))
        except (StateDatabaseError, Interrupted):
            result = as_log_text(outcome.failure) if outcome.failure else "success"
            self._logger.error("%s: could not store its result, which was: %s", self._job.app_name, result)
            raise
        finally:
            # Report after storing: a slow Sentry must not hold the claim.
            error = self._error or self._record.error
            if error is not None:
                self._settings.report_error(error, self._job.app_name)
            # Its traceback refers to us, and to whatever the job had in memory.
            self._error = error = None
        self._record.log(outcome, state)
        return state

    def _execute(self) -> Outcome:
        """Run the job to its end. Store each date of a backfill as it succeeds."""
        successes = self._successes()
        progress = self._settings.progress(self._job.app_name, self._number_of_dates())
        with self._reported(), progress as advance, self._released():
            while self._reaches_success(successes):
                self._record.store_date(self._last_success)
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
        if self._dates is not None:
            return len(self._dates)
        row = self._occasion.row(self._job.app_name)
        return count_backfill_dates(self._job.schedule, row, self._claim.since, self._zone)

    def _successes(self) -> Iterator[datetime]:
        """Yield the job's successes. A generator, so that a constructor that raises is a failure of the job, too."""
        self._running = self._instance()
        yield from self._running.main()

    def _reaches_success(self, successes: Iterator[datetime]) -> bool:
        """Run the job up to its next success; False if it has ended. The only place that catches what jobs raise."""
        try:
            with child_ends_here(), descriptors_kept(), INTERRUPTION.allowed():
                self._last_success = moment_of(next(successes), self._zone)
        except StopIteration:
            return False
        except LostClaimError:
            raise
        # BaseException: jobs also raise asyncio's CancelledError and KeyboardInterrupt.
        except BaseException as error:
            if stored := self._record.stored_all_the_same():
                self._last_success = stored
                return True
            if not is_success(error):
                self._failure = self._failed(error)
                # Whatever it raised: libraries turn an interruption into errors of their own.
                self._interrupted = INTERRUPTION.signum is not None
            elif not self._job.is_backfill:
                self._last_success = self._last_success or self._claim.since
            return False
        return True

    def _instance(self) -> Any:
        info = self._occasion.before and as_mapping(self._occasion.before)
        instance = self._job.job_class(self._job.config, info)
        instance._time_zone = self._zone
        instance._claimed_at = self._claim.since
        instance._claimed_row = self._claim.state
        instance._before_commit = self._record.before_commit
        if (dates := self._dates) is not None:
            instance._dates = lambda now: iter(dates)
        return instance

    def _failed(self, error: BaseException) -> Failure:
        if isinstance(error, KeyboardInterrupt):
            INTERRUPTION.note(error)
        self._error = error
        return failure_of(error, self._settings.mask)
