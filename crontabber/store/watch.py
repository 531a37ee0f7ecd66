"""Keep the lock of a long job although the connection that holds it is lost, as in a restart of PostgreSQL.

Otherwise a process on another host would find the lock free, and start the job a second time.
"""

import threading
from contextlib import suppress
from typing import Any

import psycopg2

from crontabber.process.lookout import ON_DUTY
from crontabber.store import sql
from crontabber.store.sessions import has_hung_up
from crontabber.store.state_connection import StateConnection


class LockWatch:
    """Looks after the `lock` that `connection` holds, until `end`."""

    def __init__(self, connection: StateConnection, lock: str) -> None:
        self._connection = connection
        self._lock = lock
        self._looks = 0
        self._thread: threading.Thread | None = None
        # Once this has taken the lock, the state's connection no longer holds it, even if it is open again.
        self._has_taken = False
        self._own: Any = None
        ON_DUTY.add(self)

    def look(self) -> None:
        """Have the lock taken again if its connection is gone. The first look does nothing: most jobs are short."""
        self._looks += 1
        if self._looks == 1 or (self._thread and self._thread.is_alive()):
            return
        if has_hung_up(self._own) if self._has_taken else self._connection.has_hung_up:
            self._thread = threading.Thread(target=self._take, name="crontabber-lock", daemon=True)
            self._thread.start()

    def end(self) -> None:
        """Release the lock if this holds it. Call it when the row of the claim is settled, so that no gap is left."""
        ON_DUTY.discard(self)
        if self._has_taken:
            self._own.close()

    def _take(self) -> None:
        """Take the lock, if the server is back and the lock is free, on a connection of our own."""
        with suppress(psycopg2.Error):
            connection = psycopg2.connect(self._connection.dsn)
            connection.autocommit = True
            cursor = connection.cursor()
            cursor.execute(sql.LOCK_AGAIN, {"lock": self._lock})
            if not cursor.fetchone()[0]:
                connection.close()
                return
            self._own, self._has_taken = connection, True
            # The job may have ended meanwhile.
            if self not in ON_DUTY:
                connection.close()
