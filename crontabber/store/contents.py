"""Read and delete the rows of crontabber's tables, for tests."""

from typing import Any

SELECT_LOG = """
SELECT app_name, log_time, duration, success, exc_type, exc_value, exc_traceback FROM crontabber_log ORDER BY id
"""
# Not TRUNCATE: that waits for every transaction that has read a table, and needs more rights.
EMPTY = "DELETE FROM crontabber_log; DELETE FROM crontabber"
EMPTY_NOTES = "DELETE FROM crontabber_job"


def log_rows(connection: Any) -> list[dict[str, Any]]:
    """Return each run from the log of a StateConnection, the oldest first."""
    return connection.fetch_dicts(SELECT_LOG)  # type: ignore[no-any-return]


def empty(connection: Any) -> None:
    """Delete every state and every run."""
    connection.fetch(EMPTY)
    if connection.has_notes:
        connection.fetch(EMPTY_NOTES)
