"""Claims: at most one process runs a job, and a crashed owner never blocks it.

A claim has two parts: a session lock on the state's own connection, which is gone as soon as the process is gone; and
the columns `ongoing` and `owner` of the job's row, which say which process runs the job, and since when. A claim is
taken in one statement and held until it is settled.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from crontabber.errors import ClaimFailedError, OngoingJobError, OwnerDiedError, StateDatabaseError
from crontabber.rules.after_death import state_after_death
from crontabber.rules.job_state import RERUN, Failure, JobState, claim_time
from crontabber.rules.policy import DEFAULT, Policy
from crontabber.store import sql
from crontabber.store.claim import Claim, RowLevelLockError
from crontabber.store.driver_errors import is_lost_race, is_of_the_connection, may_work_later
from crontabber.store.owners import (
    Verdict,
    is_of_version_1_0,
    is_running_here,
    judge,
    obituary,
    ongoing_error,
    this_process,
)
from crontabber.store.rows import before_claim, bury_parameters, claim_parameters, state_from_row
from crontabber.store.second_look import SecondLook
from crontabber.store.settling import Settling
from crontabber.store.state_connection import Row, StateConnection
from crontabber.store.watch import LockWatch

__all__ = ["Claim", "Claims", "RowLevelLockError"]

# Seconds between attempts to take the lock of an owner that was killed: its session may take a moment to end.
DELAYS_AFTER_A_KILL = (0.05, 0.1, 0.2, 0.5, 1, 2, 5)


class Claims(Settling):
    """Takes, keeps and settles claims for this process."""

    def __init__(
        self, connection: StateConnection, logger: Any, schema: str = "", session_locks: bool = True,
        max_ongoing_age: timedelta = timedelta(hours=12),
    ) -> None:  # fmt: skip
        super().__init__(connection, logger, schema, session_locks)
        self._max_ongoing_age = max_ongoing_age
        self._process = this_process()
        self._second_look = SecondLook(connection)

    def mark_as_reruns(self) -> None:
        """Have all claims from now on say that they are those of reruns: if this process dies, that does not count."""
        self._process += RERUN

    def take(self, app_name: str, depends_on: Sequence[str], seen: JobState | None, now: datetime) -> Claim:
        """Claim a job whose row was `seen` (None: it had none).

        OngoingJobError if another process runs it, RowLevelLockError if one has claimed it since it was seen,
        OwnerInDoubtError if its owner needs a second look, ClaimFailedError if a later attempt may succeed,
        StateDatabaseError if the server cannot be reached.
        """
        if seen is not None and seen.ongoing is not None:
            seen = self.bury(seen, now, DEFAULT)
        statement = sql.CLAIM_NEW if seen is None else sql.CLAIM
        parameters = claim_parameters(self._lock_key(app_name), self._owner_at(now), now, depends_on, seen)
        return self._claimed(self._attempt(app_name, seen, statement, parameters), seen is None, now)

    def take_one(self, next_runs: Mapping[str, datetime | None], now: datetime) -> Claim | None:
        """Claim the first of these jobs that no other process runs, or has run: app_name -> its next_run when its row
        was seen, and nobody ran it. None if there is no such job, ClaimFailedError if a later attempt may succeed."""
        from crontabber.store.sql_sharing import CLAIM_ONE

        seen = {name: next_run and next_run.isoformat() for name, next_run in next_runs.items()}
        return self._take_one(CLAIM_ONE, seen, False, now)

    def take_one_new(self, parents: Mapping[str, Sequence[str]], now: datetime) -> Claim | None:
        """Do the same for jobs that had no row: app_name -> what the job depends on."""
        from crontabber.store.sql_sharing import CLAIM_ONE_NEW

        return self._take_one(CLAIM_ONE_NEW, parents, True, now)

    def _take_one(self, statement: str, candidates: Mapping[str, Any], is_new: bool, now: datetime) -> Claim | None:
        parameters = {
            "candidates": json.dumps(candidates, ensure_ascii=False),
            "schema": self._schema,
            "session_locks": self._session_locks,
            "owner": self._owner_at(now),
            "now": now,
        }
        for _ in candidates:
            rows = self._send(list(candidates), statement, parameters)
            if not rows:
                break
            [row] = rows
            if row[1] is not None:
                return self._claimed(row[1:], is_new, now)
            # Another process has claimed or run this one since the statement began.
            self._unlock(row[0])
        return None

    def _claimed(self, row: Row, is_new: bool, now: datetime) -> Claim:
        state = state_from_row(row)
        self._chain.start(state.app_name, state.last_success)
        if self._session_locks and self._connection.dsn:
            self._watches[state.app_name] = LockWatch(self._connection, self._lock(state.app_name))
        return Claim(state.app_name, self._owner_at(now), now, before_claim(state, is_new))

    def bury(
        self, seen: JobState, now: datetime, policy: Policy, slot: Callable[[], datetime | None] = lambda: None
    ) -> JobState:
        """Record that the owner in the row `seen` ended without a result; `slot` returns the date that it ran for.
        Return the state after that, which leaves the job to be claimed.

        OngoingJobError if the owner is alive, or may be; the other errors as in `take`."""
        verdict = judge(seen, now, self._max_ongoing_age, self._session_locks, is_running_here)
        if verdict is not Verdict.DEAD or (is_of_version_1_0(seen) and not self._old_lock_is_free(seen.app_name)):
            raise ongoing_error(seen.app_name, seen)
        if self._session_locks:
            self._second_look.require(seen, self._lock(seen.app_name))
        died = obituary(seen, self._session_locks)
        failure = Failure(repr(OwnerDiedError), died, "", repr(OwnerDiedError(died)))
        state = state_after_death(seen, policy, failure, now)
        self.bury_as(seen, state, failure, now, slot())
        return state

    def bury_as(
        self, seen: JobState, state: JobState, failure: Failure, now: datetime, slot: datetime | None = None
    ) -> None:
        """Store `state` and a log row with `failure` in place of the run in the row `seen`, whose owner is dead."""
        parameters = bury_parameters(self._lock_key(seen.app_name), seen, state, failure, now, slot)
        self._attempt(seen.app_name, seen, sql.BURY, parameters)

    def bury_killed(self, seen: JobState, state: JobState, failure: Failure, now: datetime,
                    sessions: list[tuple[str, int, int]], slot: datetime | None = None) -> None:
        """Do the same for an owner that was killed. `sessions` are those that it had: host, port and process id. The
        state's own server may not have ended them yet; others end theirs when they notice."""
        info = self._connection.raw.info
        pids = [pid for host, port, pid in sessions if (host, port) == (info.host, info.port)]
        for delay in DELAYS_AFTER_A_KILL:
            with suppress(StateDatabaseError):  # Not everybody may.
                self._connection.fetch(sql.END_SESSIONS, {"pids": pids})
            with suppress(OngoingJobError):
                return self.bury_as(seen, state, failure, now, slot)
            time.sleep(delay)
        return self.bury_as(seen, state, failure, now, slot)

    def _attempt(self, app_name: str, seen: JobState | None, statement: str, parameters: dict[str, Any]) -> Row:
        """Send a statement that needs the job's lock, and return its row. If it fails, undo what it may have done."""
        for row in self._send([app_name], statement, parameters):
            if not row[0]:
                raise ongoing_error(app_name, seen)
            if row[1] is not None:
                return row[1:]
        self._unlock(app_name)
        raise RowLevelLockError(f"another process claimed {app_name!r} first")

    def _send(self, app_names: list[str], statement: str, parameters: dict[str, Any]) -> list[Row]:
        """Send a statement that claims one of these jobs. Return no row if another process has just written it."""
        try:
            return self._fetch(statement, parameters)
        except StateDatabaseError as error:
            if not is_lost_race(error.__cause__) and not may_work_later(error.__cause__):
                raise
            # A failed statement keeps the lock that it has taken, and we may not know which.
            if len(app_names) > 1 or is_of_the_connection(error.__cause__):
                self._connection.drop()
            if is_lost_race(error.__cause__):
                return []
            if is_of_the_connection(error.__cause__) and "owner" in parameters:
                # Perhaps only the answer was lost, and a job is claimed.
                for app_name in app_names:
                    facts = {"app_name": app_name, "since": parameters["now"]}
                    self._connection.fetch(sql.RELEASE, parameters | facts)
            self._unlock(app_names[0])
            names = " or ".join(map(repr, app_names[:2])) + " or another job" * (len(app_names) > 2)
            raise ClaimFailedError(f"could not claim {names}, trying again at the next tick: {error}") from error

    def release(self, claim: Claim) -> None:
        """Undo a claim whose job was not started."""
        self._connection.fetch(sql.RELEASE, claim.key())
        self.give_up(claim)

    def _lock_key(self, app_name: str) -> dict[str, Any]:
        return {"app_name": app_name, "lock": self._lock(app_name), "session_locks": self._session_locks}

    def _old_lock_is_free(self, app_name: str) -> bool:
        return bool(self._connection.fetch(sql.OLD_LOCK_IS_FREE, {"app_name": app_name})[0][0])

    def _owner_at(self, now: datetime) -> str:
        return f"{self._process}@{claim_time(now)}"
