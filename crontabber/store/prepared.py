"""Prepare statements that are sent again and again, so that the server parses and plans each of them only once.

That halves the server's work for a job.
"""

import re
from collections.abc import Callable
from typing import Any

# The server cannot infer the type of a parameter that stands alone in a list of columns.
TYPES = {
    "app_name": "text",
    "candidates": "json",
    "chained": "boolean",
    "depends_on": "text[]",
    "duration": "interval",
    "error_count": "integer",
    "exc_traceback": "text",
    "exc_type": "text",
    "exc_value": "text",
    "first_run": "timestamptz",
    "host": "text",
    "last_date": "date",
    "last_error": "json",
    "last_run": "timestamptz",
    "lock": "text",
    "new_next_run": "timestamptz",
    "next_run": "timestamptz",
    "now": "timestamptz",
    "owner": "text",
    "previous": "timestamptz",
    "schema": "text",
    "seen_ongoing": "timestamptz",
    "seen_owner": "text",
    "session_locks": "boolean",
    "since": "timestamptz",
    "slot": "timestamptz",
    "success": "timestamptz",
}

_PARAMETER = r"%\((\w+)\)s"


class PreparedStatements:
    """The prepared statements of one connection."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._prepared: dict[str, str] = {}

    def to_send(self, statement: str, prepare: Callable[[str], Any]) -> str:
        """Return what to send for `statement`, with the same named parameters. `prepare` sends a PREPARE to the server.

        Only the second use of a statement prepares it: most ticks run one job, if any.
        """
        if statement not in self._prepared and statement not in self._seen:
            self._seen.add(statement)
            return statement
        if statement not in self._prepared:
            preparation, execution = prepared(f"crontabber_{len(self._prepared) + 1}", statement)
            prepare(preparation)
            self._prepared[statement] = execution
        return self._prepared[statement]


def prepared(name: str, statement: str) -> tuple[str, str]:
    """Return the PREPARE of `statement` under `name`, and its EXECUTE."""
    names = list(dict.fromkeys(re.findall(_PARAMETER, statement)))
    body = re.sub(_PARAMETER, lambda match: f"${names.index(match[1]) + 1}", statement).replace("%%", "%")
    types = ", ".join(TYPES[parameter] for parameter in names)
    arguments = ", ".join(f"%({parameter})s" for parameter in names)
    return f"PREPARE {name}({types}) AS {body}", f"EXECUTE {name}({arguments})"
