"""Statements that come again and again: prepared, the server parses and plans each of them once.

That saves it half of its work for a job.
"""

import re
from collections.abc import Callable
from typing import Any

# Where a parameter stands for itself in a list of columns, the server cannot tell its type.
TYPES = {
    "app_name": "text",
    "depends_on": "text[]",
    "duration": "interval",
    "error_count": "integer",
    "exc_traceback": "text",
    "exc_type": "text",
    "exc_value": "text",
    "first_run": "timestamptz",
    "last_error": "json",
    "last_run": "timestamptz",
    "next_run": "timestamptz",
    "now": "timestamptz",
    "owner": "text",
    "seen_ongoing": "timestamptz",
    "seen_owner": "text",
    "session_locks": "boolean",
    "since": "timestamptz",
    "success": "timestamptz",
}

_PARAMETER = r"%\((\w+)\)s"


class PreparedStatements:
    """Those of one connection."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._prepared: dict[str, str] = {}

    def to_send(self, statement: str, prepare: Callable[[str], Any]) -> str:
        """What takes the place of a statement, with the same named parameters; `prepare` sends what prepares it.

        Nothing is prepared before it comes for the second time: most ticks run one job, if any.
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
    """(what prepares it under this name, what executes it)."""
    names = list(dict.fromkeys(re.findall(_PARAMETER, statement)))
    body = re.sub(_PARAMETER, lambda match: f"${names.index(match[1]) + 1}", statement).replace("%%", "%")
    types = ", ".join(TYPES[parameter] for parameter in names)
    arguments = ", ".join(f"%({parameter})s" for parameter in names)
    return f"PREPARE {name}({types}) AS {body}", f"EXECUTE {name}({arguments})"
