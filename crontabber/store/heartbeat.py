"""Store when a tick started or ended on this host, which shows that cron is alive, and say when the last one did."""

import socket
from contextlib import suppress
from datetime import datetime, timedelta
from typing import NamedTuple

from crontabber import __version__
from crontabber.errors import StateDatabaseError
from crontabber.store.driver_errors import may_lack_notes
from crontabber.store.state_connection import StateConnection

# The loss of a heartbeat in a crash does no harm. The time is the server's, so that those of hosts can be compared.
_BEAT = """
WITH asynchronous AS (SELECT set_config('synchronous_commit', 'off', true)){and_more}
INSERT INTO crontabber_host (host, last_tick, version) SELECT %(host)s, clock_timestamp(), %(version)s FROM asynchronous
ON CONFLICT (host) DO UPDATE SET last_tick = EXCLUDED.last_tick, version = EXCLUDED.version
"""
START = _BEAT.format(and_more="")
# A host that has been silent for long is no longer in use. One in the future shows that the server's clock was ahead.
# An idle tick does without this: it doubles the time.
END = _BEAT.format(and_more=""",
silent AS (
    DELETE FROM crontabber_host
    WHERE (last_tick < now() - interval '30 days' OR last_tick > now() + interval '1 minute') AND host <> %(host)s
)""")
# A tick in the future would hide for as long that cron is dead.
LAST_TICK = """
SELECT host, last_tick, clock_timestamp() - last_tick FROM crontabber_host
WHERE last_tick < clock_timestamp() + interval '1 minute'
ORDER BY last_tick DESC LIMIT 1
"""
HAS_NO_TABLES = "SELECT to_regclass('crontabber') IS NULL"


class LastTick(NamedTuple):
    """The newest tick of all hosts, without those in the future. If there has been none, `time` is None, and `age` the
    longest there is."""

    host: str = ""
    time: datetime | None = None
    age: timedelta = timedelta.max


class Heartbeat:
    """The row of this host in crontabber_host."""

    def __init__(self, connection: StateConnection) -> None:
        self._connection = connection

    def start(self) -> None:
        """Store that a tick starts. What cannot be stored now is stored by the next one."""
        self._beat(START)

    def end(self) -> None:
        """Store that a tick which ran a job ends, and delete hosts that have been silent for long."""
        self._beat(END)

    def _beat(self, statement: str) -> None:
        with suppress(StateDatabaseError):
            self._connection.fetch(statement, {"host": socket.gethostname(), "version": __version__})


def last_tick(connection: StateConnection) -> LastTick | None:
    """Return the last tick. None if it is not known: there is no table for it, or our role may not read it."""
    try:
        rows = connection.fetch(LAST_TICK)
    except StateDatabaseError as error:
        if not may_lack_notes(error.__cause__):
            raise
        return LastTick() if connection.fetch(HAS_NO_TABLES)[0][0] else None
    return LastTick(*rows[0]) if rows else LastTick()
