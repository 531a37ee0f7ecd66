"""Notice within two minutes that the other end of a connection has vanished, on both ends. Most systems take hours.

A server that does not notice keeps the locks and the open transactions of a host that is gone.
"""

import os
from contextlib import suppress
from typing import Any

import psycopg2
import psycopg2.extensions

# Seconds; a probe that is not answered ends the connection after 60 + 3 * 10 s.
PROBES = {"idle": 60, "interval": 10, "count": 3}
# Milliseconds that an outage may last while something that was sent is not acknowledged: then there are no probes. A
# process whose job waits for its COMMIT, and which then insists on its result, still ends within two minutes.
USER_TIMEOUT = 45_000


def of_libpq() -> dict[str, int]:
    """Return the parameters of the client's end. A service file may have its own, which ours would override."""
    if "PGSERVICE" in os.environ:
        return {}
    user_timeout = {"tcp_user_timeout": USER_TIMEOUT} if psycopg2.extensions.libpq_version() >= 120000 else {}
    return {f"keepalives_{name}": value for name, value in PROBES.items()} | user_timeout


def _at_most(name: str, value: int) -> str:
    """Leave what PGOPTIONS or the role sets if it is shorter. On a Unix socket, all are 0 and mean nothing."""
    is_set = f"current_setting('{name}')::int BETWEEN 1 AND {value}"
    return f"CASE WHEN NOT {is_set} THEN set_config('{name}', '{value}', false) END"


_USER_TIMEOUT = _at_most("tcp_user_timeout", USER_TIMEOUT)
# For the list of a SELECT: the parameters of the server's end.
OF_SERVER = f"""
       {_at_most("tcp_keepalives_idle", PROBES["idle"])},
       {_at_most("tcp_keepalives_interval", PROBES["interval"])},
       {_at_most("tcp_keepalives_count", PROBES["count"])},
       CASE WHEN current_setting('server_version_num')::int >= 120000 THEN {_USER_TIMEOUT} END"""


# While a query runs, the server looks so often whether its client is still there. Not every platform has it.
CHECK = "client_connection_check_interval"
SET_CHECK = f"SELECT set_config('{CHECK}', '2s', false) WHERE current_setting('{CHECK}') = '0'"


def set_on_server(connection: Any) -> None:
    """Set the server's end of a new connection, outside of any transaction. One that goes wrong is no worse off."""
    if not isinstance(connection, psycopg2.extensions.connection):  # A test suite has replaced it.
        return
    is_on_this_host = connection.info.host.startswith(("/", "@"))
    with suppress(psycopg2.Error):
        connection.autocommit = True
        if not is_on_this_host and not _are_users_own():
            _send(connection, f"SELECT {OF_SERVER}")
        if connection.server_version >= 140000:
            _send(connection, SET_CHECK)
    with suppress(psycopg2.Error):
        connection.autocommit = False


def _send(connection: Any, statement: str) -> None:
    with suppress(psycopg2.Error), connection.cursor() as cursor:
        cursor.execute(statement)


def _are_users_own() -> bool:
    return "tcp_" in os.environ.get("PGOPTIONS", "")
