"""Is an owner on another host dead? Nobody here can look for its process, only at its lock.

The lock is free for a moment while the owner, whose connection was lost, takes it again. So it has to be free twice.
"""

import time

from crontabber.errors import OwnerInDoubtError
from crontabber.rules.job_state import JobState
from crontabber.rules.text import one_line
from crontabber.store import sql
from crontabber.store.owners import is_elsewhere, ongoing_error
from crontabber.store.state_connection import StateConnection

# An owner notices within ten seconds that its connection is lost.
SECOND_LOOK_SECONDS = 15


class SecondLook:
    """The owners whose locks were found free once, and when."""

    def __init__(self, connection: StateConnection) -> None:
        self._connection = connection
        self._first: dict[str | None, float] = {}

    def require(self, seen: JobState, lock: str) -> None:
        """Return if `seen` has no owner on another host, or one whose lock was free long enough ago; whether it is free
        now, the claim will tell. OngoingJobError if the lock is taken, OwnerInDoubtError if it has to be free again."""
        if not is_elsewhere(seen):
            return
        first = self._first.pop(seen.owner, None)
        if first is not None and time.monotonic() - first >= SECOND_LOOK_SECONDS:
            return
        if not self._connection.fetch(sql.LOCK_IS_FREE, {"lock": lock})[0][0]:
            raise ongoing_error(seen.app_name, seen)
        self._first[seen.owner] = time.monotonic() if first is None else first
        again = f"looking again in {SECOND_LOOK_SECONDS} s"
        raise OwnerInDoubtError(f"{seen.app_name!r} may still be running ({one_line(str(seen.process))}): {again}")
