"""Delete old rows of crontabber_log in small batches, while ticks go on."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from crontabber.errors import StateDatabaseError
from crontabber.process.signals import INTERRUPTION
from crontabber.store.sql import lock_key
from crontabber.store.sql_log import HAS_INDEX
from crontabber.store.state_connection import StateConnection

# A batch takes some milliseconds: no tick waits for longer.
BATCH = 1000

# DISTINCT would read the whole index in each batch: this skips from one job to the next.
_NAMES = """
        WITH RECURSIVE names AS (
            SELECT min(app_name) AS app_name FROM crontabber_log
            UNION ALL
            SELECT (SELECT min(app_name) FROM crontabber_log AS log WHERE log.app_name > names.app_name)
            FROM names WHERE app_name IS NOT NULL
        ) SELECT app_name FROM names"""
# Not the newest row of a job: it says how the last run went.
_OLD = f"""
    SELECT old.ctid FROM ({_NAMES}) AS jobs CROSS JOIN LATERAL (
        SELECT log.ctid FROM crontabber_log AS log
        WHERE log.app_name = jobs.app_name AND log.log_time < %(cutoff)s
          AND log.log_time < (SELECT max(log_time) FROM crontabber_log AS newest WHERE newest.app_name = jobs.app_name)
        ORDER BY log.log_time LIMIT %(batch)s
    ) AS old LIMIT %(batch)s"""
COUNT = """
SELECT count(*) FROM crontabber_log AS log JOIN (
    SELECT app_name, max(log_time) AS log_time FROM crontabber_log GROUP BY app_name
) AS newest USING (app_name)
WHERE log.log_time < %(cutoff)s AND log.log_time < newest.log_time
"""
PRUNE = f"DELETE FROM crontabber_log WHERE ctid = ANY(ARRAY({_OLD})) RETURNING 1"
# After a tick there is no time to search: only the jobs that have run lately are looked at, by the index.
_OLD_OF_KNOWN_JOBS = _OLD.replace(_NAMES, "SELECT app_name FROM crontabber")
PRUNE_QUICKLY = f"""
DELETE FROM crontabber_log WHERE {HAS_INDEX} AND ctid = ANY(ARRAY({_OLD_OF_KNOWN_JOBS})) RETURNING 1
"""
INDEX = "crontabber_log_app_name_log_time_idx"
MAKE_INDEX = f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {INDEX} ON crontabber_log (app_name, log_time)"
# Two processes that make the index at once would wait for each other.
_KEY = lock_key("'prune ' || to_regclass('crontabber_log')::oid")
LOCK = f"SELECT pg_try_advisory_lock({_KEY})"
UNLOCK = f"SELECT pg_advisory_unlock({_KEY})"
# What a build that was interrupted has left is of no use.
DROP_INVALID = f"DROP INDEX CONCURRENTLY IF EXISTS {INDEX}"


class Pruning:
    """Works on the connection of the state, one statement at a time."""

    def __init__(self, connection: StateConnection, session_locks: bool) -> None:
        self._connection = connection
        self._session_locks = session_locks

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Yield False if another process is here, too: session locks tell."""
        taken = not self._session_locks or bool(self._connection.fetch(LOCK)[0][0])
        yield taken
        if taken and self._session_locks:
            self._connection.fetch(UNLOCK)

    def count(self, cutoff: datetime) -> int:
        """Return how many rows there are to delete."""
        return int(self._connection.fetch(COUNT, {"cutoff": cutoff})[0][0])

    def has_index(self) -> bool:
        return bool(self._connection.fetch(f"SELECT {HAS_INDEX}")[0][0])

    def make_index(self) -> None:
        """Make the index that reports and pruning need, without being in the way of ticks."""
        if not self.has_index():
            self._connection.fetch(DROP_INVALID)
            self._connection.fetch(MAKE_INDEX)

    def prune(self, cutoff: datetime) -> int:
        """Delete all rows from before `cutoff` but the last of each job. Return how many there were."""
        deleted = 0
        while batch := len(self._connection.fetch(PRUNE, {"cutoff": cutoff, "batch": BATCH})):
            deleted += batch
            with INTERRUPTION.allowed():
                pass
        return deleted

    def prune_quickly(self, cutoff: datetime) -> int:
        """Delete one batch, if the index shows where it is."""
        return len(self._connection.fetch(PRUNE_QUICKLY, {"cutoff": cutoff, "batch": BATCH}))


def pruning_of(states: Any) -> Pruning:
    connection = getattr(states, "connection", None)
    if not isinstance(connection, StateConnection):
        raise StateDatabaseError(f"state database: {type(states).__name__} keeps no log")
    return Pruning(connection, states.config.get("session_locks", True))
