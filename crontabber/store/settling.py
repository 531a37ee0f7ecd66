"""Store what the run of a claimed job has achieved, and look it up if an answer was lost."""

import socket
from datetime import date as Date
from datetime import datetime, timedelta
from typing import Any

from crontabber.errors import LostClaimError, StateDatabaseError
from crontabber.rules.job_state import Failure, JobState
from crontabber.store import sql
from crontabber.store.chain import Chain
from crontabber.store.claim import Claim
from crontabber.store.insistence import Insistence
from crontabber.store.rows import settle_parameters
from crontabber.store.state_connection import Row, StateConnection
from crontabber.store.watch import LockWatch
from crontabber.store.within import Refusal, execute_within


class Settling:
    """What a process does with the claims that it has."""

    def __init__(self, connection: StateConnection, logger: Any, schema: str, session_locks: bool) -> None:
        self._connection = connection
        self._logger = logger
        self._schema = schema
        self._session_locks = session_locks
        # What the log says about where it ran.
        self.host = socket.gethostname()
        self._fetch = connection.fetch_often if session_locks else connection.fetch
        self._chain = Chain()
        self._watches: dict[str, LockWatch] = {}
        self._insistence = Insistence(connection, self._fetch, logger, session_locks)

    def settle(self, claim: Claim, state: JobState, duration: timedelta, success: datetime | None,
               failure: Failure | None, logged: bool = False, slot: datetime | None = None) -> None:
        """Store how the run, for the date `slot`, ended and give up the claim. With `logged`, the log has its rows.

        LostClaimError if the job was taken over meanwhile, StateDatabaseError if the server stays away for a minute.
        """
        statement = sql.settle_unlogged() if logged else sql.settle(drop_note=self._drops_note(claim, state))
        failure = failure and Failure(*map(self._connection.sendable, failure))
        key = self._key(claim) | {"session_locks": self._session_locks}
        parameters = settle_parameters(key, state, duration, success, failure, slot)
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
        parameters = settle_parameters(self._key(claim), claim.state, duration, date, None, date, last_date)
        self._store_date(claim, date, sql.settle_date(note=self._notes(last_date)), parameters)

    def move_cursor(self, claim: Claim, date: datetime, last_date: Date | None = None) -> None:
        """Store that a backfill job skips its dates up to this one, and keep the claim. Errors as in `settle`."""
        parameters = self._key(claim) | {"success": date, "last_date": last_date}
        self._store_date(claim, date, sql.move_cursor(note=self._notes(last_date)), parameters)

    def _notes(self, last_date: Date | None) -> bool:
        return last_date is not None and self._connection.has_notes

    def _store_date(self, claim: Claim, date: datetime, statement: str, parameters: dict[str, Any]) -> None:
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
        slot = None if state else success
        parameters = settle_parameters(self._key(claim), state or claim.state, duration, success, None, slot, last_date)
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

    def log_rerun(
        self, claim: Claim, duration: timedelta, success: datetime | None, slot: datetime | None,
        connection: Any = None, failure: Failure | None = None,
    ) -> bool:  # fmt: skip
        """Add the log row of a rerun while the claim is ours, inside the open transaction of `connection` if there is
        one. False if that may not write to our log. LostClaimError if another process has taken over the job."""
        failure = failure and Failure(*map(self._connection.sendable, failure))
        parameters = settle_parameters(self._key(claim), claim.state, duration, success, failure, slot)
        if connection is None:
            rows: Any = self._retry(claim, sql.log_rerun(), parameters)
        else:
            statement = self._connection.adapted(sql.log_rerun(self._schema))
            rows = execute_within(connection, [statement], parameters)
            if isinstance(rows, Refusal):
                return False
        if not rows:
            raise self._why_refused(claim)
        return True

    def end_rerun(self, claim: Claim) -> None:
        """Give up the claim of a rerun of a plain job: of the row, only last_run changes."""
        self._retry(claim, sql.END_RERUN, self._key(claim) | {"session_locks": self._session_locks})
        self._end_watch(claim.app_name)

    def _statements_within(self, claim: Claim, state: JobState | None, last_date: Date | None) -> list[str]:
        """Return what to try in a job's own transaction: its role may have fewer rights on crontabber_job."""
        if state:
            with_notes = self._drops_note(claim, state)
            return [sql.settle_within(self._schema, notes) for notes in sorted({with_notes, False}, reverse=True)]
        with_notes = self._notes(last_date)
        return [sql.settle_date(self._schema, notes) for notes in sorted({with_notes, False}, reverse=True)]

    def _drops_note(self, claim: Claim, state: JobState) -> bool:
        """True if the run has used up the slot of its first run. A role that may not use the table never saw one."""
        return claim.state.first_slot is not None and state.first_slot is None

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
        lock = {"lock": self._lock(claim.app_name), "host": self.host}
        return claim.key() | lock | self._chain.parameters(claim.app_name)

    def _lock(self, app_name: str) -> str:
        """Return what the lock of a job is made of: the same app_name in another schema is another job."""
        return f"{self._schema}.{app_name}"

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
