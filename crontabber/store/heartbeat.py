"""Store when a tick started or ended on this host, which shows that cron is alive."""

import socket
from contextlib import suppress

from crontabber import __version__
from crontabber.errors import StateDatabaseError
from crontabber.store.state_connection import StateConnection

# The loss of a heartbeat in a crash does no harm. The time is the server's, so that those of hosts can be compared.
_BEAT = """
WITH asynchronous AS (SELECT set_config('synchronous_commit', 'off', true)){and_more}
INSERT INTO crontabber_host (host, last_tick, version) SELECT %(host)s, clock_timestamp(), %(version)s FROM asynchronous
ON CONFLICT (host) DO UPDATE SET last_tick = EXCLUDED.last_tick, version = EXCLUDED.version
"""
START = _BEAT.format(and_more="")
# A host that has been silent for long is no longer in use. An idle tick does without this: it doubles the time.
END = _BEAT.format(and_more=""",
silent AS (DELETE FROM crontabber_host WHERE last_tick < now() - interval '30 days' AND host <> %(host)s)""")


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
