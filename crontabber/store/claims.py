"""Claims: at most one process runs a job, and a crashed owner never blocks it.

A claim has two parts: a session lock on the state's own connection, which is gone as soon as the process is gone; and
the columns `ongoing` and `owner` of the job's row, which say which process runs the job, and since when. A claim is
taken in one statement and held until it is settled.
"""

from collections.abc import Sequence
from datetime import date as Date
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import psycopg2

from crontabber.errors import ClaimFailedError, LostClaimError, StateDatabaseError
from crontabber.rules.job_state import Failure, JobState, claim_time
from crontabber.store import sql
from crontabber.store.chain import Chain
from crontabber.store.driver_errors import is_lost_race, is_of_the_connection, may_work_later
from crontabber.store.insistence import Insistence
from crontabber.store.owners import (
    Verdict,
    is_of_version_1_0,
    is_running_here,
    judge,
    obituary,
    ongoing_error,
    this_process,
)
from crontabber.store.rows import before_claim, claim_parameters, settle_parameters, state_from_row
from crontabber.store.second_look import SecondLook
from crontabber.store.state_connection import Row, StateConnection
from crontabber.store.watch import LockWatch
from crontabber.store.within import Refusal, execute_within


class RowLevelLockError(psycopg2.OperationalError):
    """Another process has claimed the job since its state was read."""


class Claim(NamedTuple):
    """The right to run a job. `state` is its row as claimed; `died` says which owner left an unfinished run, if any."""

    app_name: str
    owner: str
    since: datetime
    state: JobState
    died: str | None = None

    def key(self) -> dict[str, Any]:
        """Return what the statements need to recognise the row as ours."""
        return {"app_name": self.app_name, "owner": self.owner, "since": self.since}


class Claims:
    """Takes, keeps and settles claims for this process."""

    def __init__(
        self, connection: StateConnection, logger: Any, schema: str = "", session_locks: bool = True,
        max_ongoing_age: timedelta = timedelta(hours=12),
    ) -> None:  # fmt: skip
        self._connection = connection
        self._logger = logger
        self._schema = schema
        self._session_locks = session_locks
        self._fetch = connection.fetch_often if session_locks else connection.fetch
        self._max_ongoing_age = max_ongoing_age
        self._process = this_process()
        self._chain = Chain()
        self._watches: dict[str, LockWatch] = {}
        self._second_look = SecondLook(connection)
        self._insistence = Insistence(connection, self._fetch, logger, session_locks)

    def take(self, app_name: str, depends_on: Sequence[str], seen: JobState | None, now: datetime) -> Claim:
        """Claim a job whose row was `seen` (None: it had none).

        OngoingJobError if another process runs it, RowLevelLockError if one has claimed it since it was seen,
        OwnerInDoubtError if its owner needs a second look, ClaimFailedError if a later attempt may succeed,
        StateDatabaseError if the server cannot be reached.
        """
        verdict = judge(seen, now, self._max_ongoing_age, self._session_locks, is_running_here)
        if verdict is Verdict.ALIVE:
            raise ongoing_error(app_name, seen)
        died = obituary(seen, self._session_locks) if seen and verdict is Verdict.DEAD else None
        if died and seen and is_of_version_1_0(seen) and not self._old_lock_is_free(app_name):
            raise ongoing_error(app_name, seen)
        if died and seen and self._session_locks:
            self._second_look.require(seen, self._lock(app_name))
        statement = sql.CLAIM_NEW if seen is None else sql.CLAIM_FROM_THE_DEAD if died else sql.CLAIM
        key = {"app_name": app_name, "lock": self._lock(app_name), "session_locks": self._session_locks}
        parameters = claim_parameters(key, self._owner_at(now), now, depends_on, seen, died)
        row = self._attempt(app_name, statement, parameters)
        if not row[0]:
            raise ongoing_error(app_name, seen)
        if row[1] is None:
            self._unlock(app_name)
            raise RowLevelLockError(f"another process claimed {app_name!r} first")
        state = state_from_row(row[1:])
        if died:
            self._logger.warning("%s: %s. Running it now.", app_name, died)
        self._chain.start(app_name, state.last_success)
        if self._session_locks and self._connection.dsn:
            self._watches[app_name] = LockWatch(self._connection, self._lock(app_name))
        return Claim(app_name, self._owner_at(now), now, before_claim(state, seen), died)

    def _attempt(self, app_name: str, statement: str, parameters: dict[str, Any]) -> Row:
        """Send the statement of a claim. If it fails, but may succeed later, undo what it may have done."""
        try:
            return self._fetch(statement, parameters)[0]
        except StateDatabaseError as error:
            if is_lost_race(error.__cause__):
                return (True, None)
            if not may_work_later(error.__cause__):
                raise
            if is_of_the_connection(error.__cause__):
                # Perhaps only the answer was lost.
                self._connection.drop()
                self._connection.fetch(sql.RELEASE, parameters | {"since": parameters["now"]})
            self._unlock(app_name)  # A failed statement keeps the lock that it has taken.
            raise ClaimFailedError(f"could not claim {app_name!r}, trying again at the next tick: {error}") from error

    def settle(self, claim: Claim, state: JobState, duration: timedelta, success: datetime | None,
               failure: Failure | None, logged: bool = False) -> None:
        """Store how the run ended and give up the claim. With `logged`, crontabber_log has its rows already.

        LostClaimError if the job was taken over meanwhile, StateDatabaseError if the server stays away for a minute.
        """
        statement = sql.settle_unlogged() if logged else sql.settle(drop_note=self._drops_note(claim, state))
        failure = failure and Failure(*map(self._connection.sendable, failure))
        key = self._key(claim) | {"session_locks": self._session_locks}
        parameters = settle_parameters(key, state, duration, success, failure)
        try:
            if self._stored(claim, statement, parameters):
                return
            if not self.was_settled(claim, state):
                raise self._why_refused(claim)
            self.give_up(claim)
        finally:
            self._end_watch(claim.app_name)

    def settle_date(self, claim: Claim, date: datetime, duration: timedelta, last_date: Date | None = None) -> None:
        """Store that one date of a backfill job has succeeded, and keep the claim. Errors as in `settle`.

        `last_date` is its calendar date, if it is one.
        """
        parameters = settle_parameters(self._key(claim), claim.state, duration, date, None, last_date)
        statement = sql.settle_date(note=last_date is not None and self._connection.has_notes)
        # If its answer was lost, it is stored already when it is sent again.
        if not self._stored(claim, statement, parameters) and not self.is_stored(claim, date):
            raise self._why_refused(claim)
        self.date_committed(claim, date)

    def date_committed(self, claim: Claim, date: datetime) -> None:
        """Note that a date is stored, by us or by the job's own transaction: the next one has to follow it."""
        self._chain.add(claim.app_name, date)

    def is_stored(self, claim: Claim, date: datetime) -> bool:
        """True if this date is the last one that is stored, under this claim."""
        return self._chain.ends_with(date, *self._last_success(claim))

    def was_settled(self, claim: Claim, state: JobState) -> bool:
        """True if this run has been stored with this state."""
        run = {"app_name": claim.app_name, "last_run": state.last_run, "next_run": state.next_run}
        return bool(self._retry(claim, sql.WAS_SETTLED, run))

    def settle_within(self, connection: Any, claim: Claim, state: JobState | None, duration: timedelta,
                      success: datetime, last_date: Date | None = None) -> bool:
        """Store a success inside the open transaction of `connection`: with a `state` that of the whole run, without
        one that of a single date. False if that transaction may not write to our tables; it can still go on.

        LostClaimError if another process has taken over the job, so that the transaction is rolled back.
        """
        parameters = settle_parameters(self._key(claim), state or claim.state, duration, success, None, last_date)
        statements = [self._connection.adapted(each) for each in self._statements_within(claim, state, last_date)]
        rows = execute_within(connection, statements, parameters)
        if not rows and not isinstance(rows, Refusal) and self._claim_again(claim):
            rows = execute_within(connection, statements, parameters)
        if isinstance(rows, Refusal):
            # A transaction that has only read has no effects that a second run could double.
            say = self._logger.warning if rows.has_written else self._logger.debug
            say("%s: its success is stored after its transaction, not inside it: %s", claim.app_name, rows.reason)
            return False
        if not rows:
            raise self._why_refused(claim)
        return True

    def _statements_within(self, claim: Claim, state: JobState | None, last_date: Date | None) -> list[str]:
        """Return what to try in a job's own transaction: its role may have fewer rights on crontabber_job."""
        if state:
            with_notes = self._drops_note(claim, state)
            return [sql.settle_within(self._schema, notes) for notes in sorted({with_notes, False}, reverse=True)]
        with_notes = last_date is not None and self._connection.has_notes
        return [sql.settle_date(self._schema, notes) for notes in sorted({with_notes, False}, reverse=True)]

    def _drops_note(self, claim: Claim, state: JobState) -> bool:
        """True if the run has used up the slot of its first run. A role that may not use the table never saw one."""
        return claim.state.first_slot is not None and state.first_slot is None

    def release(self, claim: Claim) -> None:
        """Undo a claim whose job was not started."""
        self._connection.fetch(sql.RELEASE, claim.key())
        self.give_up(claim)

    def give_up(self, claim: Claim) -> None:
        """Release only the lock: the row is settled, or no longer ours."""
        self._unlock(claim.app_name)

    def is_own_database(self, connection: Any) -> bool:
        """True if `connection` leads to the state's own database, as the same role."""
        return self._connection.has_same_target(connection)

    def _retry(self, claim: Claim, statement: str, parameters: dict[str, Any]) -> list[Row]:
        """Return the rows of a statement about a claim; insist on an answer."""
        return self._insistence.rows(statement, parameters, self._key(claim))

    def _stored(self, claim: Claim, statement: str, parameters: dict[str, Any]) -> bool:
        """Send a statement about a claim, if need be after claiming again. False if nothing could be stored."""
        return bool(self._retry(claim, statement, parameters)
                    or (self._claim_again(claim) and self._retry(claim, statement, parameters)))  # fmt: skip

    def _claim_again(self, claim: Claim) -> bool:
        """Take a claim again if the database has forgotten it, and nobody has run the job since. True if it is ours."""
        return bool(self._retry(claim, sql.CLAIM_AGAIN, claim.key() | {"last_run": claim.state.last_run}))

    def _why_refused(self, claim: Claim) -> LostClaimError:
        return self._chain.why_refused(claim.app_name, *self._last_success(claim))

    def _last_success(self, claim: Claim) -> tuple[datetime | None, bool | None]:
        """Return the job's last_success, and whether its row is still ours (None: there is no row). Wait for a
        transaction that is writing it: its COMMIT may be on its way."""
        rows = self._retry(claim, sql.LAST_SUCCESS, claim.key())
        return (rows[0][0], bool(rows[0][1])) if rows else (None, None)

    def _key(self, claim: Claim) -> dict[str, Any]:
        """Return what all statements about a claim need."""
        return claim.key() | {"lock": self._lock(claim.app_name)} | self._chain.parameters(claim.app_name)

    def _lock(self, app_name: str) -> str:
        """Return what the lock of a job is made of: the same app_name in another schema is another job."""
        return f"{self._schema}.{app_name}"

    def _old_lock_is_free(self, app_name: str) -> bool:
        return bool(self._connection.fetch(sql.OLD_LOCK_IS_FREE, {"app_name": app_name})[0][0])

    def _owner_at(self, now: datetime) -> str:
        return f"{self._process}@{claim_time(now)}"

    def _unlock(self, app_name: str) -> None:
        """Release the lock, if need be by dropping the connection."""
        if not self._session_locks:
            return
        try:
            self._connection.fetch(sql.UNLOCK, {"lock": self._lock(app_name)})
        except StateDatabaseError:
            self._connection.drop()
        self._end_watch(app_name)

    def _end_watch(self, app_name: str) -> None:
        watch = self._watches.pop(app_name, None)
        if watch is not None:
            watch.end()
