"""Send a statement about a claim again and again: a result must not be lost because the server is away for a while."""

import time
from collections.abc import Callable
from itertools import chain, repeat
from typing import Any

from crontabber.errors import StateDatabaseError
from crontabber.process.signals import INTERRUPTION
from crontabber.store import sql
from crontabber.store.driver_errors import is_cancelled, is_of_the_connection, may_work_later
from crontabber.store.state_connection import Row, StateConnection

# How long we try while the server is away, and the seconds between attempts; the last one repeats.
PATIENCE_SECONDS = 60
RETRY_DELAYS = (0, 0.5, 1, 2, 4, 8)
# How long a single attempt may wait for its answer.
ATTEMPT_SECONDS = 10

Fetch = Callable[[str, dict[str, Any]], list[Row]]


class Insistence:
    """Sends with `fetch`, a method of `connection`. With `locks`, a new connection takes the claim's lock again."""

    def __init__(self, connection: StateConnection, fetch: Fetch, logger: Any, locks: bool) -> None:
        self._connection = connection
        self._fetch = fetch
        self._logger = logger
        self._locks = locks

    def rows(self, statement: str, parameters: dict[str, Any], key: dict[str, Any]) -> list[Row]:
        """Return the rows; `key` has the app_name and the lock. StateDatabaseError if the server is away for a minute.

        A server that answers when the attempt is cancelled is worth waiting for. Somebody holds a lock: perhaps a
        connection of ours that was lost, until the server notices it. Only a signal ends this, after a minute.
        """
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        delays = chain(RETRY_DELAYS, repeat(RETRY_DELAYS[-1]))
        say = self._logger.warning
        while True:
            try:
                return self._attempt(statement, parameters, key)
            except StateDatabaseError as error:
                if is_cancelled(error.__cause__) and INTERRUPTION.signum is None:
                    give_up_at = time.monotonic() + PATIENCE_SECONDS
                left = give_up_at - time.monotonic()
                if not may_work_later(error.__cause__) or left <= 0:
                    raise
                if is_of_the_connection(error.__cause__):
                    self._connection.drop()
                say("%s: could not store its result, retrying: %s", key["app_name"], error)
                say = self._logger.debug
            # A signal that arrives meanwhile has to wait: a result is worth a minute.
            time.sleep(min(next(delays), left))

    def _attempt(self, statement: str, parameters: dict[str, Any], key: dict[str, Any]) -> list[Row]:
        with self._connection.deadline(ATTEMPT_SECONDS):
            if self._locks and not self._connection.is_open:
                self._connection.fetch(sql.LOCK_AGAIN, key)
            return self._fetch(statement, parameters)
